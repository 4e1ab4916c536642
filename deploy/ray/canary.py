"""Runs the watchdog's canary inside a replica, through the worker's own way of scoring."""

from __future__ import annotations

import logging
import time

from monitor.model import CanaryOutcome, CanaryResult, Reason
from monitor.probes.canary import CASES, Case
from service.errors import DeadlineExceeded, NoCapacity, ServiceError
from service.request import ScoreJob
from service.worker.worker import Worker

log = logging.getLogger("rankguard.worker")


async def run_canary(worker: Worker, timeout_s: float) -> CanaryResult:
    """Score every case; the first that fails ends the run.

    Args:
        timeout_s: what one case may take.
    """
    began = time.monotonic()
    logits: dict[str, tuple[float, ...]] = {}
    generation = worker.manifest.generation

    def failed(outcome: CanaryOutcome, detail: str) -> CanaryResult:
        reason = Reason.CANARY_INVALID if outcome is CanaryOutcome.WRONG else Reason.CANARY_ERROR
        return CanaryResult(generation, outcome, began, time.monotonic(), reason, detail)

    for case in CASES:
        try:
            scores, _ = await worker.score(_job(case, timeout_s))
        except DeadlineExceeded:
            return failed(CanaryOutcome.TIMED_OUT, f"no scores within {timeout_s:g} s")
        except NoCapacity as error:
            return failed(CanaryOutcome.REFUSED, error.message)
        except ServiceError as error:
            return failed(CanaryOutcome.ERROR, f"{case.name}: {error.message}")
        except Exception as error:  # an engine's library may raise anything
            log.exception("the canary %s found the engine failing", case.name)
            return failed(CanaryOutcome.ERROR, f"{case.name}: {type(error).__name__}")
        missing = [score.error for score in scores if score.error is not None]
        if missing:
            return failed(CanaryOutcome.WRONG, f"{case.name}: {missing[0]}")
        logits[case.name] = tuple(score.logit for score in scores)
    return CanaryResult(generation, CanaryOutcome.PASSED, began, time.monotonic(), logits=logits)


def _job(case: Case, timeout_s: float) -> ScoreJob:
    return ScoreJob(
        id=f"canary-{case.name}",
        query=case.query,
        documents=case.documents,
        timeout_s=timeout_s,
        canary=True,
    )
