"""The probes that speak HTTP to a worker. Every answer is a value, the missing ones included."""

from __future__ import annotations

import json
import time
from typing import Any

import requests

from monitor.model import (
    CanaryOutcome,
    CanaryResult,
    Progress,
    Reason,
    Unavailable,
    Why,
    WorkerState,
)
from monitor.probes.canary import CASES, Case


class HttpProber:
    """Implements `Prober`: one connection kept open; for one thread at a time."""

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._session = requests.Session()
        self._session.trust_env = False  # loopback: no proxy, no netrc

    def progress(self, url: str) -> Progress | Unavailable:
        try:
            answer = self._session.get(f"{url}/progress", timeout=self._timeout_s)
            answer.raise_for_status()
            return parse_progress(json.loads(answer.content))
        except requests.Timeout:
            return Unavailable(Why.TIMED_OUT, f"no answer within {self._timeout_s:g} s")
        except requests.RequestException as error:
            return Unavailable(Why.NOT_ANSWERING, type(error).__name__)
        except (ValueError, KeyError, TypeError) as error:
            return Unavailable(Why.MALFORMED, str(error))

    def canary(self, url: str, generation: int) -> CanaryResult:
        """Score every case; the first that fails ends the run."""
        began = time.monotonic()
        logits: dict[str, tuple[float, ...]] = {}
        outcome, reason, detail = CanaryOutcome.PASSED, Reason.HEALTHY, ""
        for case in CASES:
            try:
                logits[case.name] = self._score(url, case)
            except _CanaryFailed as failed:
                outcome, reason, detail = failed.outcome, failed.reason, failed.detail
                break
        return CanaryResult(generation, outcome, began, time.monotonic(), reason, detail, logits)

    def close(self) -> None:
        self._session.close()

    def _score(self, url: str, case: Case) -> tuple[float, ...]:
        body = {
            "id": f"canary-{case.name}",
            "query": case.query,
            "documents": list(case.documents),
            "timeout_s": self._timeout_s,
            "canary": True,
        }
        try:
            answer = self._session.post(f"{url}/score", json=body, timeout=self._timeout_s)
        except requests.Timeout:
            raise _CanaryFailed(
                CanaryOutcome.TIMED_OUT, f"no scores within {self._timeout_s:g} s"
            ) from None
        except requests.RequestException as error:
            raise _CanaryFailed(CanaryOutcome.UNREACHABLE, type(error).__name__) from None
        return _read_scores(answer, case)


class _CanaryFailed(Exception):
    """How a case failed; caught in `HttpProber.canary`."""

    def __init__(
        self, outcome: CanaryOutcome, detail: str, reason: Reason = Reason.CANARY_ERROR
    ) -> None:
        super().__init__(detail)
        self.outcome, self.detail, self.reason = outcome, detail, reason


def _read_scores(answer: requests.Response, case: Case) -> tuple[float, ...]:
    if answer.status_code == 503:
        raise _CanaryFailed(CanaryOutcome.REFUSED, "503: loading or draining")
    if answer.status_code == 504:
        raise _CanaryFailed(CanaryOutcome.TIMED_OUT, "504: the worker's own deadline")
    if answer.status_code != 200:
        raise _CanaryFailed(CanaryOutcome.ERROR, f"{case.name}: HTTP {answer.status_code}")
    try:
        scores = json.loads(answer.content)["scores"]
        failed = [score["error"] for score in scores if score.get("error")]
        logits = tuple(float(score["logit"]) for score in scores)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _CanaryFailed(
            CanaryOutcome.WRONG, f"{case.name}: {error}", Reason.CANARY_INVALID
        ) from None
    if failed:
        raise _CanaryFailed(CanaryOutcome.WRONG, f"{case.name}: {failed[0]}", Reason.CANARY_INVALID)
    return logits


def parse_progress(body: dict[str, Any]) -> Progress:
    """Raises KeyError, TypeError or ValueError for a body that is no progress."""
    loading = body.get("loading") or {}
    return Progress(
        generation=int(body["generation"]),
        state=WorkerState(body["state"]),
        completed=int(body["completed"]),
        failed=int(body["failed"]),
        unscored=int(body.get("unscored", 0)),  # added later: an older worker has none
        prefix_looked_up=int(body.get("prefix_looked_up", 0)),
        prefix_found=int(body.get("prefix_found", 0)),
        busy_s=float(body.get("busy_s", 0.0)),
        served=int(body.get("served", 0)),
        in_flight=int(body["in_flight"]),
        steps=int(body["steps"]),
        oldest_in_flight_s=_optional(body.get("oldest_in_flight_s")),
        last_success_s=_optional(body.get("last_success_s")),
        loading_phase=str(loading.get("phase", "")),
        loading_done=_optional(loading.get("done")),
    )


def _optional(value: Any) -> float | None:
    return None if value is None else float(value)
