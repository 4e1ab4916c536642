"""Samples of a run and what they sum up to. PURE."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Sample:
    """One request. Times are seconds on one monotonic clock.

    Attributes:
        intended: when it was to be sent; in an open loop that is set before the run, whatever
            the endpoint does, so that waiting behind slow requests counts as latency.
        error: why there is no good answer; empty when there is one.
        tokens: as the endpoint counts; None when it does not.
        right: for a check: whether the right document came first; None for other requests.
    """

    intended: float
    sent: float
    ended: float
    documents: int
    tokens: int | None = None
    error: str = ""
    right: bool | None = None

    @property
    def latency_s(self) -> float:
        return self.ended - self.intended


@dataclass(frozen=True, slots=True)
class Summary:
    """A run in numbers. Latencies of good answers in milliseconds; 0 when there are none.

    Attributes:
        docs_per_s: documents in good answers over the time from first send to last answer.
        sent_per_s: rate at which requests were meant to be sent, whenever they were answered.
        late_ms: 99th percentile of how late the generator itself sent; when that is not small
            against the latencies, the machine that sends is the limit.
    """

    requests: int
    failed: int
    docs_per_s: float
    requests_per_s: float
    sent_per_s: float
    tokens_per_s: float | None
    mean_ms: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    max_ms: float
    late_ms: float
    checks: int
    checks_right: int
    errors: tuple[str, ...] = ()


def summarize(samples: Sequence[Sample]) -> Summary:
    """Sum up a run; checks count as requests in everything but `checks`."""
    good = [each for each in samples if not each.error]
    latencies = np.array([each.latency_s * 1000 for each in good] or [0.0])
    start = min((each.sent for each in samples), default=0.0)
    span = max((each.ended for each in samples), default=0.0) - start
    per_s = 1 / span if span > 0 else 0.0
    tokens = [each.tokens for each in good]
    known = [each for each in tokens if each is not None]
    p50, p95, p99 = (float(each) for each in np.percentile(latencies, (50, 95, 99)))
    late = [(each.sent - each.intended) * 1000 for each in samples] or [0.0]
    checks = [each.right for each in good if each.right is not None]
    return Summary(
        requests=len(samples),
        failed=len(samples) - len(good),
        docs_per_s=per_s * sum(each.documents for each in good),
        requests_per_s=per_s * len(good),
        sent_per_s=_rate(samples),
        tokens_per_s=per_s * sum(known) if known and len(known) == len(tokens) else None,
        mean_ms=float(latencies.mean()),
        p50_ms=p50,
        p95_ms=p95,
        p99_ms=p99,
        max_ms=float(latencies.max()),
        late_ms=float(np.percentile(late, 99)),
        checks=len(checks),
        checks_right=sum(checks),
        errors=tuple(sorted({each.error for each in samples if each.error}))[:5],
    )


def _rate(samples: Sequence[Sample]) -> float:
    """Requests over the time in which they were meant to be sent."""
    if len(samples) < 2:
        return 0.0
    times = [each.intended for each in samples]
    span = max(times) - min(times)
    return (len(samples) - 1) / span if span > 0 else 0.0
