from __future__ import annotations

import pytest

from monitor.model import CanaryOutcome, ProcessSample, Unavailable, Why, WorkerState
from monitor.window import CpuSample, Window
from tests.monitor.evidence import canary, manifest, progress

T = 100.0


def watched() -> Window:
    window = Window(1, T)
    window.see_manifest(manifest(), T)
    window.see_canary(canary())
    return window


def test_a_standstill_counts_from_the_last_progress():
    window = watched()
    window.see_progress(progress(completed=5, in_flight=4), T + 1, T + 1)
    window.see_progress(progress(completed=9, in_flight=4), T + 2, T + 2)
    assert window.evidence().stalled_since is None

    window.see_progress(progress(completed=9, in_flight=4), T + 3, T + 3)

    assert window.evidence().stalled_since == T + 2


def test_a_standstill_counts_from_the_arrival_of_work_when_there_was_none_before():
    window = watched()
    window.see_progress(progress(), T + 5, T + 5)

    window.see_progress(progress(in_flight=1, oldest_in_flight_s=0.3), T + 6, T + 6)

    assert window.evidence().stalled_since == pytest.approx(T + 5.7)


@pytest.mark.parametrize(
    "after",
    [
        pytest.param(progress(completed=9, in_flight=4), id="a document was completed"),
        pytest.param(progress(completed=5, in_flight=4, steps=1), id="a step was done"),
        pytest.param(progress(completed=5, in_flight=0), id="nothing is in flight any more"),
    ],
)
def test_a_standstill_ends(after):
    window = watched()
    for second in (1, 2):
        window.see_progress(progress(completed=5, in_flight=4), T + second, T + second)
    assert window.evidence().stalled_since is not None

    window.see_progress(after, T + 3, T + 3)

    assert window.evidence().stalled_since is None


def test_failed_jobs_are_no_progress():
    window = watched()
    window.see_progress(progress(failed=1, in_flight=4), T + 1, T + 1)
    window.see_progress(progress(failed=9, in_flight=4), T + 2, T + 2)

    assert window.evidence().stalled_since is not None


def test_work_that_only_failed_leaves_a_doubt_until_something_is_completed():
    """The gateway takes its chunks back from a replica that hangs: nothing is in flight then."""
    window = watched()
    window.see_progress(progress(completed=5, in_flight=2), T + 1, T + 1)
    window.see_progress(progress(completed=5, failed=2), T + 2, T + 2)
    window.see_progress(progress(completed=5, failed=2), T + 3, T + 3)
    doubted = window.evidence().stalled_since

    window.see_progress(progress(completed=9, failed=2), T + 4, T + 4)
    window.see_progress(progress(completed=9, failed=2), T + 5, T + 5)

    assert doubted == T + 1
    assert window.evidence().stalled_since is None


def test_it_learns_how_long_steps_usually_take():
    window = watched()
    window.see_progress(progress(in_flight=4), T + 1, T + 1)
    window.see_progress(progress(in_flight=4), T + 4, T + 4)
    window.see_progress(progress(in_flight=4, steps=1), T + 6, T + 6)

    assert window.evidence().usual_gap_s == pytest.approx(5.0)


def test_documents_without_a_score_are_a_doubt_until_a_later_canary_passes():
    window = watched()
    window.see_progress(progress(completed=5), T + 1, T + 1)
    window.see_progress(progress(completed=9, unscored=2), T + 2, T + 2)
    first = window.evidence().unscored_at
    window.see_canary(canary(began=T + 1.5))
    not_settled = window.evidence().unscored_at
    window.see_canary(canary(CanaryOutcome.TIMED_OUT, began=T + 2.5))
    not_answered = window.evidence().unscored_at

    window.see_canary(canary(began=T + 3))
    window.see_progress(progress(completed=12, unscored=2), T + 4, T + 4)

    assert (first, not_settled, not_answered) == (T + 2, T + 2, T + 2)
    assert window.evidence().unscored_at is None


def test_silence_counts_from_the_first_failed_probe():
    window = watched()
    for second in (1, 2, 3):
        window.see_progress(Unavailable(Why.TIMED_OUT), T + second, T + second + 0.9)
    assert window.evidence().probe_failing_since == T + 1

    window.see_progress(progress(), T + 4, T + 4)

    assert window.evidence().probe_failing_since is None


def test_what_belongs_to_another_generation_is_not_held_against_this_one():
    window = Window(2, T)
    window.see_progress(progress(in_flight=4), T + 1, T + 1)
    window.see_canary(canary(CanaryOutcome.WRONG))
    window.see_manifest(manifest(), T)

    evidence = window.evidence()

    assert (evidence.progress, evidence.canary, evidence.manifest) == (None, None, None)


def test_wrong_canaries_are_counted_in_a_row():
    window = watched()
    for outcome, expected in [
        (CanaryOutcome.WRONG, 1),
        (CanaryOutcome.ERROR, 2),
        (CanaryOutcome.TIMED_OUT, 0),
        (CanaryOutcome.WRONG, 1),
        (CanaryOutcome.PASSED, 0),
    ]:
        window.see_canary(canary(outcome))
        assert window.evidence().canary_bad == expected


def test_effort_is_a_rate_over_the_last_seconds():
    window = watched()
    for second in range(10):
        window.see_cpu(CpuSample(second * 0.5, second * 0.25), T + second)

    effort = window.evidence().effort

    assert effort.running == pytest.approx(0.5)
    assert effort.waiting == pytest.approx(0.25)


def test_one_sample_says_nothing_of_effort():
    window = watched()
    window.see_cpu(CpuSample(1.0, 0.0), T)

    assert window.evidence().effort is None


def test_loading_moves_by_its_own_word_or_by_its_cpu():
    window = Window(1, T)
    window.see_manifest(manifest(WorkerState.LOADING), T)
    window.see_progress(progress(loading_phase="weights", loading_done=0.1), T + 5, T + 5)
    assert window.evidence().load_moved_at == T + 5

    window.see_progress(progress(loading_phase="weights", loading_done=0.1), T + 6, T + 6)
    assert window.evidence().load_moved_at == T + 5

    window.see_cpu(CpuSample(1.0, 0.0), T + 7)
    window.see_cpu(CpuSample(1.5, 0.0), T + 8)
    assert window.evidence().load_moved_at == T + 8


def test_time_in_which_nobody_looked_is_held_against_nobody():
    window = watched()
    window.see_process(ProcessSample(alive=True, state="T"), T + 1)
    window.see_progress(Unavailable(Why.TIMED_OUT), T + 1, T + 2)

    window.forget_blind_time(T + 60)

    evidence = window.evidence()
    assert evidence.stopped_since is None
    assert evidence.probe_failing_since is None
    assert evidence.load_moved_at == T + 60


def test_a_probe_from_before_a_blind_time_is_held_against_nobody():
    """Host and worker stood still while it waited: a virtual machine that was moved."""
    window = watched()
    window.forget_blind_time(T + 400)

    window.see_progress(Unavailable(Why.TIMED_OUT), T, T + 400.1)

    assert window.evidence().probe_failing_since == T + 400
