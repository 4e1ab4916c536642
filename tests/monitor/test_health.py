"""Each row states one rule by its id."""

from __future__ import annotations

from dataclasses import replace

import pytest

from monitor.health import HealthLimits, assess, canary_due
from monitor.model import (
    CanaryOutcome,
    Effort,
    Health,
    ProcessSample,
    Reason,
    Slow,
    WorkerState,
)
from tests.monitor.evidence import NOW, canary, healthy, manifest, progress

LIMITS = HealthLimits()
GONE = ProcessSample(alive=False, exit_code=1, gone_at=NOW - 0.01)
STALL = {"stalled_since": NOW - 4, "progress": progress(in_flight=8)}
TIMED_OUT = canary(CanaryOutcome.TIMED_OUT, began=NOW - 3, took=2)
SILENT = {"probe_failing_since": NOW - 3}
LOADING = manifest(WorkerState.LOADING)


@pytest.mark.parametrize(
    ("evidence", "health", "reason"),
    [
        pytest.param(healthy(), Health.HEALTHY, Reason.HEALTHY, id="idle and well"),
        pytest.param(
            healthy(manifest=None, started_at=NOW - 61),
            Health.HUNG,
            Reason.LOAD_STALLED,
            id="started, and no word of it",
        ),
        pytest.param(
            healthy(manifest=None, started_at=NOW - 61, board_refuses=True),
            Health.SUSPECT,
            Reason.STATE_DISK,
            id="started, and it cannot write a word",
        ),
        pytest.param(
            healthy(progress=progress(in_flight=3)), Health.BUSY, Reason.BUSY, id="work in flight"
        ),
        # dead
        pytest.param(healthy(process=GONE), Health.DEAD, Reason.EXITED, id="any exit code"),
        pytest.param(
            healthy(process=ProcessSample(alive=False, exit_code=137)),
            Health.DEAD,
            Reason.KILLED,
            id="kill -9",
        ),
        pytest.param(
            healthy(process=ProcessSample(alive=False, exit_code=139)),
            Health.DEAD,
            Reason.KILLED,
            id="segmentation fault",
        ),
        pytest.param(
            healthy(process=ProcessSample(alive=False, exit_code=70)),
            Health.DEAD,
            Reason.ENGINE_DIED,
            id="the worker says that its engine died",
        ),
        pytest.param(
            healthy(process=ProcessSample(alive=False, exit_code=78)),
            Health.DEAD,
            Reason.START_FAILED_FOR_GOOD,
            id="the worker says that another start changes nothing",
        ),
        pytest.param(
            healthy(
                process=ProcessSample(alive=False),
                manifest=manifest(WorkerState.FAILED, exit_code=75),
            ),
            Health.DEAD,
            Reason.START_FAILED,
            id="an adopted one's exit code comes from its manifest",
        ),
        pytest.param(
            healthy(process=ProcessSample(alive=False)),
            Health.DEAD,
            Reason.PROCESS_GONE,
            id="an adopted one that left no word",
        ),
        # hung
        pytest.param(
            healthy(**STALL, canary=TIMED_OUT),
            Health.HUNG,
            Reason.NO_PROGRESS,
            id="work in flight, no progress, canary failed",
        ),
        pytest.param(
            healthy(
                **STALL,
                canary=canary(CanaryOutcome.TIMED_OUT, began=NOW - 4.5, took=2),
            ),
            Health.HUNG,
            Reason.NO_PROGRESS,
            id="a canary that failed began just before, and most of it lay in the standstill",
        ),
        pytest.param(
            healthy(
                **STALL,
                canary=canary(CanaryOutcome.TIMED_OUT, began=NOW - 5.8, took=2),
            ),
            Health.SUSPECT,
            Reason.STALL_UNCONFIRMED,
            id="a canary that failed before the standstill says nothing of it",
        ),
        pytest.param(
            healthy(**STALL, canary=TIMED_OUT, effort=Effort(0.03, 0.0)),
            Health.HUNG,
            Reason.NO_PROGRESS,
            id="its event loop's little CPU does not excuse it",
        ),
        pytest.param(
            healthy(**STALL, canary=canary(began=NOW - 10)),
            Health.SUSPECT,
            Reason.STALL_UNCONFIRMED,
            id="no progress, but no canary of that time yet",
        ),
        pytest.param(
            healthy(**STALL, canary=canary(began=NOW - 2)),
            Health.SUSPECT,
            Reason.STALL_UNCONFIRMED,
            id="no progress, but the canary passed",
        ),
        pytest.param(
            healthy(stalled_since=NOW - 1, canary=TIMED_OUT, progress=progress(in_flight=1)),
            Health.BUSY,
            Reason.SLOW_CANARY,
            id="a standstill shorter than the limit",
        ),
        pytest.param(
            healthy(**STALL, canary=TIMED_OUT, effort=Effort(0.9, 0.0)),
            Health.BUSY,
            Reason.BUSY,
            id="one long step that computes is no hang",
        ),
        pytest.param(
            healthy(**STALL, canary=TIMED_OUT, effort=Effort(0.2, 0.7)),
            Health.STARVED,
            Reason.STARVED,
            id="one that is not let run is no hang",
        ),
        pytest.param(
            healthy(
                stalled_since=NOW - 130,
                progress=progress(in_flight=1),
                canary=canary(CanaryOutcome.TIMED_OUT, began=NOW - 20),
                effort=Effort(0.9, 0.0),
            ),
            Health.HUNG,
            Reason.NO_PROGRESS,
            id="computing for minutes without a step is one",
        ),
        pytest.param(
            healthy(**STALL, canary=TIMED_OUT, usual_gap_s=2.0),
            Health.BUSY,
            Reason.SLOW_CANARY,
            id="steps that usually take long get more time",
        ),
        pytest.param(
            healthy(canary=TIMED_OUT, progress=progress(in_flight=500)),
            Health.BUSY,
            Reason.SLOW_CANARY,
            id="a canary behind work that gets done is no reason",
        ),
        pytest.param(
            healthy(stopped_since=NOW - 2.5, process=ProcessSample(alive=True, state="T")),
            Health.HUNG,
            Reason.STOPPED,
            id="stopped by a signal",
        ),
        pytest.param(
            healthy(stopped_since=NOW - 0.5, process=ProcessSample(alive=True, state="T")),
            Health.HEALTHY,
            Reason.HEALTHY,
            id="stopped for a moment",
        ),
        pytest.param(
            healthy(**SILENT, effort=Effort(0.0, 0.0)),
            Health.HUNG,
            Reason.NOT_ANSWERING,
            id="no answer and no CPU used",
        ),
        pytest.param(
            healthy(**SILENT), Health.SUSPECT, Reason.PROBE_FAILING, id="no answer, not measured"
        ),
        pytest.param(
            healthy(**SILENT, effort=Effort(0.8, 0.0)),
            Health.SUSPECT,
            Reason.BUSY,
            id="no answer but computing",
        ),
        pytest.param(
            healthy(**SILENT, effort=Effort(0.01, 0.5)),
            Health.STARVED,
            Reason.STARVED,
            id="no answer since the host lets it not run",
        ),
        pytest.param(
            healthy(**SILENT, effort=Effort(0.0, 0.0, blocked=True)),
            Health.STARVED,
            Reason.STARVED,
            id="no answer, in uninterruptible sleep",
        ),
        pytest.param(
            healthy(probe_failing_since=NOW - 301, effort=Effort(0.8, 0.0)),
            Health.HUNG,
            Reason.NOT_ANSWERING,
            id="no answer for minutes, however busy",
        ),
        # starting
        pytest.param(
            healthy(manifest=None, started_at=NOW - 1),
            Health.STARTING,
            Reason.STARTING,
            id="no manifest yet",
        ),
        pytest.param(
            healthy(manifest=None), Health.HUNG, Reason.LOAD_STALLED, id="no manifest for a minute"
        ),
        pytest.param(
            healthy(manifest=LOADING, load_moved_at=NOW - 20, started_at=NOW - 1000),
            Health.STARTING,
            Reason.LOADING,
            id="a long load that gets further",
        ),
        pytest.param(
            healthy(manifest=LOADING, load_moved_at=NOW - 200, started_at=NOW - 300),
            Health.HUNG,
            Reason.LOAD_STALLED,
            id="a load that stands still",
        ),
        pytest.param(
            healthy(manifest=LOADING, load_moved_at=NOW, started_at=NOW - 4000),
            Health.HUNG,
            Reason.LOAD_STALLED,
            id="a load that never ends",
        ),
        pytest.param(
            healthy(canary=None, canary_good=False),
            Health.STARTING,
            Reason.AWAITING_CANARY,
            id="ready, and no canary yet",
        ),
        pytest.param(
            healthy(**STALL, canary=None, canary_good=False, effort=Effort(0.9, 0.0)),
            Health.STARTING,
            Reason.AWAITING_CANARY,
            id="the first canary computes for long",
        ),
        # wrong
        pytest.param(
            healthy(canary=canary(CanaryOutcome.WRONG, reason=Reason.CANARY_ORDER), canary_bad=2),
            Health.WRONG,
            Reason.CANARY_ORDER,
            id="wrong twice",
        ),
        pytest.param(
            healthy(canary=canary(CanaryOutcome.WRONG, reason=Reason.CANARY_FLAT), canary_bad=1),
            Health.SUSPECT,
            Reason.CANARY_UNCONFIRMED,
            id="wrong once",
        ),
        pytest.param(
            healthy(canary=canary(CanaryOutcome.ERROR, reason=Reason.CANARY_ERROR), canary_bad=2),
            Health.WRONG,
            Reason.CANARY_ERROR,
            id="every job fails",
        ),
        pytest.param(
            healthy(unscored_at=NOW - 0.1, progress=progress(unscored=3, in_flight=2)),
            Health.SUSPECT,
            Reason.UNSCORED,
            id="documents of users got NaN, and no canary has looked since",
        ),
        pytest.param(
            healthy(
                unscored_at=NOW - 2,
                canary=canary(CanaryOutcome.WRONG, reason=Reason.CANARY_INVALID),
                canary_bad=1,
            ),
            Health.SUSPECT,
            Reason.CANARY_UNCONFIRMED,
            id="they did, and the canary did too",
        ),
        # the rest
        pytest.param(
            healthy(manifest=manifest(WorkerState.DRAINING)),
            Health.DRAINING,
            Reason.DRAINING,
            id="drains",
        ),
        pytest.param(
            healthy(manifest=manifest(WorkerState.FAILED, reason="engine gone")),
            Health.SUSPECT,
            Reason.ENGINE_DIED,
            id="says that it failed and has not ended yet",
        ),
        pytest.param(
            healthy(gpu=Reason.GPU_LOST), Health.LOST, Reason.GPU_LOST, id="its card is lost"
        ),
        pytest.param(
            healthy(process=GONE, gpu=Reason.GPU_LOST),
            Health.DEAD,
            Reason.EXITED,
            id="a dead process is dead, whatever its card says",
        ),
    ],
)
def test_a_verdict_follows_from_its_own_evidence(evidence, health, reason):
    verdict = assess(evidence, LIMITS, NOW)

    assert (verdict.health, verdict.reason) == (health, reason)


@pytest.mark.parametrize(
    ("evidence", "health"),
    [
        pytest.param(healthy(), Health.DEGRADED, id="idle and slow"),
        pytest.param(healthy(progress=progress(in_flight=3)), Health.DEGRADED, id="busy and slow"),
        pytest.param(healthy(canary=TIMED_OUT), Health.BUSY, id="a canary waits behind users"),
        pytest.param(healthy(**STALL, canary=TIMED_OUT), Health.HUNG, id="it hangs"),
        pytest.param(
            healthy(canary=canary(CanaryOutcome.WRONG), canary_bad=2),
            Health.WRONG,
            id="it is wrong",
        ),
        pytest.param(healthy(process=GONE), Health.DEAD, id="it is dead"),
    ],
)
def test_slow_is_a_verdict_only_where_nothing_worse_is_known(evidence, health):
    slow = Slow(Reason.SLOWER_THAN_SIBLINGS, "9 ms per document, against 3 ms", NOW - 60)

    verdict = assess(replace(evidence, slow=slow), LIMITS, NOW)

    assert verdict.health is health
    if health is Health.DEGRADED:
        assert (verdict.reason, verdict.detail) == (slow.reason, slow.detail)
        assert verdict.since_s == pytest.approx(60)


def test_detection_time_counts_from_the_last_sign_of_health():
    hung = assess(healthy(**STALL, canary=TIMED_OUT), LIMITS, NOW)
    dead = assess(healthy(process=GONE), LIMITS, NOW)

    assert hung.since_s == pytest.approx(4.0)
    assert dead.since_s == pytest.approx(0.01)


@pytest.mark.parametrize(
    ("evidence", "due"),
    [
        pytest.param(healthy(canary=None), True, id="none yet"),
        pytest.param(healthy(), False, id="one within the period"),
        pytest.param(healthy(canary=canary(began=NOW - 15)), True, id="the period is over"),
        pytest.param(healthy(manifest=LOADING, canary=None), False, id="still loading"),
        pytest.param(
            healthy(canary=canary(CanaryOutcome.WRONG), canary_bad=1),
            True,
            id="confirm a wrong one",
        ),
        pytest.param(
            healthy(canary=canary(CanaryOutcome.WRONG), canary_bad=2), False, id="confirmed already"
        ),
        pytest.param(
            healthy(canary=canary(CanaryOutcome.REFUSED), canary_good=False),
            True,
            id="the gate is asked again soon",
        ),
        pytest.param(
            healthy(unscored_at=NOW - 0.1, canary=canary(began=NOW - 5)),
            True,
            id="documents without a score want an answer at once",
        ),
        pytest.param(
            healthy(unscored_at=NOW - 0.1, canary=canary(began=NOW - 0.5)),
            False,
            id="documents that never score do not keep the engine at canaries",
        ),
        pytest.param(
            healthy(stalled_since=NOW - 0.9, canary=canary(began=NOW - 5)),
            True,
            id="a standstill wants confirmation",
        ),
        pytest.param(
            healthy(stalled_since=NOW - 0.9, canary=canary(began=NOW - 0.5)),
            False,
            id="a standstill that was asked about",
        ),
    ],
)
def test_a_canary_is_due(evidence, due):
    assert canary_due(evidence, 15.0, LIMITS, NOW) is due
