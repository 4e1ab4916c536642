"""The gateway's load, from its metrics: what waits, and how late answers are."""

from __future__ import annotations

import re
from dataclasses import dataclass

import requests

from monitor.scaling import Load

_TIMEOUT_S = 2.0
_WAITING = "rankguard_waiting_tokens"
_POISON = "rankguard_poison_requests_total"
_BUCKET = re.compile(
    r'^rankguard_request_duration_seconds_bucket\{[^}]*le="(?P<le>[^"]+)"[^}]*\} (?P<count>\S+)'
)
_QUANTILE = 0.95
Buckets = dict[float, float]


@dataclass(frozen=True, slots=True)
class Counted:
    """What is read there; `buckets`: cumulative counts by upper bound, over all routes."""

    queued_tokens: float
    buckets: Buckets
    poison: float


class GatewayReader:
    """Called by one thread; the latency is over what was answered since the last call."""

    def __init__(self, url: str) -> None:
        self._url = f"{url.rstrip('/')}/metrics"
        self._session = requests.Session()
        self._session.trust_env = False  # our own gateway on loopback: no proxy
        self._last: Buckets = {}

    def read(self) -> Load | None:
        """None when the gateway does not answer: no reason to scale."""
        try:
            answer = self._session.get(self._url, timeout=_TIMEOUT_S)
            answer.raise_for_status()
            counted = parse(answer.text)
        except (requests.RequestException, ValueError):
            self._last = {}
            return None
        since, self._last = subtract(counted.buckets, self._last), counted.buckets
        return Load(counted.queued_tokens, quantile(since, _QUANTILE), counted.poison)


def parse(text: str) -> Counted:
    """The numbers in a gateway's metrics; raises ValueError for what is none."""
    queued, poison = 0.0, 0.0
    buckets: Buckets = {}
    for line in text.splitlines():
        if line.startswith(_WAITING):
            queued = float(line.rpartition(" ")[2])
            continue
        if line.startswith(_POISON):
            poison = float(line.rpartition(" ")[2])
            continue
        found = _BUCKET.match(line)
        if found is not None:
            bound = float(found["le"])
            buckets[bound] = buckets.get(bound, 0.0) + float(found["count"])
    return Counted(queued, buckets, poison)


def subtract(now: Buckets, before: Buckets) -> Buckets:
    """What was added since; a counter that went back began anew."""
    if any(now.get(bound, 0.0) < count for bound, count in before.items()):
        return now
    return {bound: count - before.get(bound, 0.0) for bound, count in now.items()}


def quantile(buckets: Buckets, share: float) -> float | None:
    """The upper bound under which a share of the observations lies; None without any."""
    total = max(buckets.values(), default=0.0)
    if total <= 0:
        return None
    return min(bound for bound, count in buckets.items() if count >= share * total)
