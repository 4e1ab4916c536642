"""Builders of evidence for decision tables: a healthy replica, and what is changed of it."""

from __future__ import annotations

from dataclasses import replace

from monitor.model import (
    CanaryOutcome,
    CanaryResult,
    Evidence,
    Identity,
    Manifest,
    ProcessSample,
    Progress,
    Reason,
    WorkerState,
)

NOW = 1000.0
ME = Identity(4242, 77, "boot-1")


def manifest(state: WorkerState = WorkerState.READY, **changes) -> Manifest:
    body = {
        "id": "replica-0",
        "generation": 1,
        "identity": ME,
        "url": "http://127.0.0.1:1",
        "state": state,
        "fingerprint": "f1",
        "watched": True,
    }
    return Manifest(**{**body, **changes})


def progress(**changes) -> Progress:
    return replace(Progress(generation=1, state=WorkerState.READY), **changes)


def canary(
    outcome: CanaryOutcome = CanaryOutcome.PASSED,
    began: float = NOW - 1.0,
    took: float = 0.05,
    reason: Reason = Reason.HEALTHY,
) -> CanaryResult:
    return CanaryResult(1, outcome, began, began + took, reason)


def healthy(**changes) -> Evidence:
    """Started a while ago, ready, answering, canary passed."""
    base = Evidence(
        started_at=NOW - 100,
        process=ProcessSample(alive=True, state="S"),
        manifest=manifest(),
        progress=progress(),
        load_moved_at=NOW - 90,
        canary=canary(),
        canary_good=True,
    )
    return replace(base, **changes)
