"""The loop over fakes: what an observer sees, from the first start to the end."""

from __future__ import annotations

from dataclasses import replace

import pytest

from monitor.collectors.kmsg import OomKill
from monitor.gpu import Card, CardSample, GpuProcess, GpuRound
from monitor.inbox import CardsSeen, CommandAsked, KernelSeen, LoadSeen
from monitor.journal import JournalError
from monitor.leak import LeakLimits
from monitor.limits import LoopLimits
from monitor.model import CanaryOutcome, Health, Reason, WorkerState
from monitor.ports import ActuatorError
from monitor.replica import Command, CommandKind, Phase
from tests.monitor.fakes import Machine


@pytest.fixture
def machine(tmp_path):
    made = []

    def make(**options):
        made.append(Machine(tmp_path, **options))
        return made[-1]

    yield make
    for one in made:
        one.journal.close()


@pytest.fixture
def serving(machine):
    one = machine()
    one.run(2)
    assert one.view().replica.routable
    return one


def test_a_replica_is_routable_only_after_its_canary(machine):
    one = machine()
    one.loop.tick()
    assert one.host.verdicts["replica-0"] == (1, False, "starting")

    one.run(2)

    assert one.host.verdicts["replica-0"] == (1, True, "healthy")


def test_a_death_is_repaired_in_the_same_round(serving):
    serving.host.die(serving.worker(), 137)

    serving.loop.tick()

    assert serving.generation == 2
    assert serving.host.verdicts["replica-0"] == (2, False, "starting")
    serving.run(2)
    assert serving.sink.order == [("ReplicaDead", "firing"), ("ReplicaDead", "resolved")]


def test_a_death_for_memory_has_its_own_reason(serving):
    pid = serving.worker().identity.pid
    serving.inbox.post(KernelSeen(OomKill(serving.clock.mono, pid, f"Killed process {pid}")))
    serving.host.die(serving.worker(), 137)
    serving.run(2)

    assert serving.snapshot.counters.restarts == {("replica-0", "out_of_memory"): 1}
    assert ("HostOomKill", "firing") in serving.sink.order


def test_the_next_generation_waits_until_the_old_group_is_gone(serving):
    worker = serving.worker()
    worker.leftovers = 2
    serving.host.die(worker, 137)
    serving.run(3)
    assert serving.generation == 1

    worker.leftovers = 0
    serving.run(1)

    assert serving.generation == 2


def test_a_hang_needs_a_standstill_and_a_failed_canary(serving):
    worker = serving.worker()
    worker.progress = replace(worker.progress, in_flight=4, oldest_in_flight_s=0.0)
    worker.canary = CanaryOutcome.TIMED_OUT

    serving.run(6)

    assert serving.generation == 2
    assert next(name for name, _ in serving.sink.order) == "ReplicaHung"


def test_progress_keeps_a_saturated_replica_alive_however_late_its_canaries(serving):
    worker = serving.worker()
    worker.canary = CanaryOutcome.TIMED_OUT
    for completed in range(240):
        worker.progress = replace(
            worker.progress, in_flight=500, oldest_in_flight_s=60.0, completed=completed
        )
        serving.run(1.0)

    assert serving.generation == 1
    assert serving.sink.order == []
    assert serving.view().replica.routable


def test_a_scrape_or_probe_that_fails_once_is_nothing(serving):
    worker = serving.worker()
    worker.answering = False
    serving.run(1)
    worker.answering = True
    serving.run(5)

    assert serving.generation == 1


def test_wrong_scores_close_at_once_and_are_confirmed_before_the_kill(serving):
    serving.worker().canary = CanaryOutcome.WRONG
    serving.clock.pass_time(15)
    serving.loop.tick()  # asks
    serving.loop.tick()  # hears
    assert serving.host.verdicts["replica-0"] == (1, False, "canary_unconfirmed")
    assert "kill" not in serving.host.calls

    serving.run(2)

    assert "kill" in serving.host.calls
    assert serving.sink.order[0] == ("ReplicaWrong", "firing")


def test_one_incident_covers_all_restarts_until_the_replica_serves_again(serving):
    serving.host.instantly_ready = False
    for _ in range(3):
        serving.host.die(serving.worker(), 137)
        serving.run(8)
    assert serving.generation == 4
    assert serving.sink.order == [("ReplicaDead", "firing")]

    worker = serving.worker()
    worker.manifest = replace(worker.manifest, state=WorkerState.READY)
    serving.run(2)

    assert serving.sink.order == [("ReplicaDead", "firing"), ("ReplicaDead", "resolved")]


def test_a_command_that_cannot_be_run_is_given_up_and_paged(machine):
    one = machine()
    one.host.start_error = ActuatorError("no such file", permanent=True)
    one.run(2)

    assert one.view().replica.phase is Phase.FAILED
    assert ("ReplicaCrashLoop", "firing") in one.sink.order
    assert one.generation == 1


def test_after_failures_starts_come_one_at_a_time(machine):
    one = machine(replicas=3)
    one.run(2)
    one.host.instantly_ready = False
    for _ in range(2):
        for replica in ("replica-0", "replica-1", "replica-2"):
            if replica in one.host.current:
                one.host.die(one.worker(replica), 1)
        one.loop.tick()
    one.clock.pass_time(5)
    one.run(2)

    starting = [v for v in one.snapshot.replicas if v.replica.phase is Phase.STARTING]
    assert len(starting) == 1


def test_a_successor_adopts_and_opens_nothing(machine):
    one = machine()
    one.run(2)
    calls = len(one.host.calls)

    two = machine(host=one.host, clock=one.clock)
    two.run(5)

    assert two.generation == 1
    assert two.view().replica.routable
    assert two.host.calls[calls:] == []
    assert two.sink.order == []


def test_a_successor_keeps_generation_budget_and_open_incident(machine):
    one = machine()
    one.run(2)
    for _ in range(3):
        one.host.die(one.worker(), 137)
        one.run(5)
    one.host.instantly_ready = False
    one.host.die(one.worker(), 137)
    one.loop.tick()

    two = machine(host=one.host, clock=one.clock)
    two.loop.tick()
    view = two.view().replica

    assert len(view.past) == len(one.view().replica.past)
    assert view.generation >= one.generation
    assert [incident.name for incident in two.snapshot.incidents] == ["ReplicaDead"]


def reboot(one, machine, down_s=120.0):
    """The next watchdog, after a boot: other ids, and a monotonic clock that begins anew."""
    one.journal.close()
    one.host.workers.clear()
    one.host.current.clear()
    one.host.boot = "boot-2"
    one.clock.mono, one.clock.wall = 30.0, one.clock.wall + down_s
    return machine(host=one.host, clock=one.clock)


def die_until_given_up(one, limit=20):
    for count in range(limit):
        if one.view().replica.phase is Phase.FAILED:
            return count
        if "replica-0" in one.host.current:
            one.host.die(one.worker(), 137)
        one.run(30)
    raise AssertionError("it was never given up")


def test_restarts_before_a_reboot_count_after_it(machine):
    one = machine()
    one.run(2)
    for _ in range(3):
        one.host.die(one.worker(), 137)
        one.run(30)
    two = reboot(one, machine)
    two.run(3)
    assert two.view().replica.routable

    ends = die_until_given_up(two)

    assert ends == 3  # two more restarts, and then the page: five in the window, and not eight
    assert two.sink.order[-1] == ("ReplicaCrashLoop", "firing")


def test_a_replica_that_was_given_up_stays_so_over_a_reboot_until_its_time(machine):
    one = machine()
    one.run(2)
    die_until_given_up(one)
    two = reboot(one, machine)
    two.run(3)
    assert two.view().replica.phase is Phase.FAILED
    assert "ReplicaCrashLoop" in [incident.name for incident in two.snapshot.incidents]

    two.run(900, step=5.0)

    assert two.view().replica.routable
    assert two.snapshot.incidents == ()


def test_a_worker_from_before_a_reboot_is_no_incident(machine):
    one = machine()
    one.run(2)
    generation = one.generation
    identity = one.worker().identity
    saved = one.journal.replicas()["replica-0"]
    saved["identity"] = [identity.pid, identity.started_ticks, "an earlier boot"]
    one.journal.save_replica("replica-0", saved)
    one.host.workers.clear()
    one.host.current.clear()

    two = machine(host=one.host, clock=one.clock)
    two.run(2)

    assert two.sink.order == []
    assert two.generation == generation + 1


def test_time_in_which_the_watchdog_itself_did_not_run_is_held_against_nobody(serving):
    worker = serving.worker()
    worker.progress = replace(worker.progress, in_flight=4)
    serving.run(1)
    serving.clock.pass_time(600)
    serving.loop.tick()
    serving.loop.tick()

    assert serving.generation == 1


def test_a_clock_that_is_set_changes_nothing_but_the_alignment_of_probes(serving):
    for jump in (3600, -7200):
        serving.clock.wall += jump
        serving.run(3)

    assert serving.generation == 1
    assert serving.sink.order == []
    assert serving.host.realigned == 2


@pytest.mark.parametrize("rate", [pytest.param(0.0, id="stands"), pytest.param(0.5, id="lags")])
def test_a_clock_that_is_wrong_for_long_aligns_the_probes_again_and_again(serving, rate):
    """The scheduler goes by it: without that nobody would be asked any more."""
    for _ in range(60):
        serving.run(0.5)
        serving.clock.wall -= 0.5 * (1 - rate)

    assert serving.host.realigned >= 5
    assert serving.generation == 1


def test_a_message_that_cannot_be_dealt_with_takes_no_other_with_it(serving):
    serving.loop._intake._findings = Broken()
    serving.inbox.post(LoadSeen(None))
    serving.inbox.post(LoadSeen(None))
    serving.inbox.post(CommandAsked("replica-0", Command(CommandKind.DRAIN)))
    serving.loop.tick()

    assert serving.view().replica.phase is not Phase.SERVING
    assert serving.snapshot.counters.tick_errors == 2


@pytest.mark.parametrize("part", ["_roll", "_rescale", "_resets", "_tell", "_card_notes"])
def test_a_part_of_a_round_that_fails_blinds_no_other(serving, part):
    setattr(serving.loop, part, Broken())
    serving.host.die(serving.worker(), 137)
    serving.loop.tick()

    assert serving.generation == 2
    assert serving.snapshot.counters.tick_errors == 1


class Broken:
    def __call__(self, *_):
        raise RuntimeError("broken")

    def __getattr__(self, name):
        raise RuntimeError(name)


def test_a_sink_that_fails_is_asked_again_and_holds_up_nothing(serving):
    serving.sink.refusals = 3
    serving.host.die(serving.worker(), 137)
    serving.run(4)

    assert serving.generation == 2
    assert serving.sink.order == [("ReplicaDead", "firing"), ("ReplicaDead", "resolved")]


def test_a_full_disk_holds_up_no_restart(serving, monkeypatch):
    def refuse(*_):
        raise JournalError("cannot write the journal: database or disk is full")

    for method in ("record", "save_replica", "save_incident", "mark_told"):
        monkeypatch.setattr(serving.journal, method, refuse)
    serving.host.die(serving.worker(), 137)
    serving.run(3)

    assert serving.generation == 2
    assert serving.sink.order == [("ReplicaDead", "firing"), ("ReplicaDead", "resolved")]
    assert serving.snapshot.counters.journal_errors > 0


def test_a_verdict_that_cannot_be_written_holds_up_no_restart_and_is_tried_again(
    serving, monkeypatch
):
    def refuse(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(serving.host, "write_verdict", refuse)
    serving.host.die(serving.worker(), 137)
    serving.run(3)
    assert serving.generation == 2
    assert serving.snapshot.counters.board_errors > 0

    monkeypatch.undo()
    serving.run(1)

    assert serving.host.verdicts["replica-0"] == (2, True, "healthy")


def test_an_operators_drain_is_obeyed_and_no_incident(serving):
    serving.inbox.post(CommandAsked("replica-0", Command(CommandKind.DRAIN)))
    serving.run(2)

    assert serving.view().replica.phase is Phase.DRAINED
    assert serving.sink.order == []
    assert serving.journal.replicas()["replica-0"]["phase"] == "drained"


@pytest.mark.parametrize(
    ("replicas", "generation"),
    [pytest.param(2, 2, id="another serves: recycled"), pytest.param(1, 1, id="alone: told only")],
)
def test_a_replica_that_leaks_is_recycled_while_another_serves(machine, replicas, generation):
    one = machine(replicas=replicas, limits=LoopLimits(recycle_bytes=1000))
    one.run(2)
    one.worker().resident_bytes = 2000
    one.run(100, step=1.0)

    assert one.generation == generation
    assert one.sink.order[0] == ("ReplicaLeaking", "firing")
    assert "kill" not in one.host.calls
    if replicas > 1:
        assert one.sink.order == [("ReplicaLeaking", "firing"), ("ReplicaLeaking", "resolved")]
        assert one.view("replica-1").replica.generation == 1


def test_the_end_drains_everything_and_kills_who_is_deaf(machine):
    one = machine(replicas=2)
    one.run(2)
    one.worker("replica-1").deaf = True
    waits = []

    def forced():
        waits.append(1)
        one.clock.pass_time(5)
        return False

    one.loop.stop_replicas(forced)

    assert [worker.alive for worker in one.host.workers.values()] == [False, False]
    assert one.host.verdicts == {}
    assert one.sink.order == []
    assert len(waits) > 5  # the deaf one had its whole drain timeout


def work_beside(one, seconds, *, slow=1.0):
    """Two replicas serve for a while; what replica-1 does takes so many times as long."""
    for _ in range(seconds):
        for replica, document_s in (("replica-0", 0.003), ("replica-1", 0.003 * slow)):
            worker = one.worker(replica)
            done = worker.progress.served + int(1 / document_s)
            worker.progress = replace(
                worker.progress,
                in_flight=8,
                completed=done,
                served=done,
                busy_s=worker.progress.busy_s + 1.0,
            )
        one.run(1.0)


def test_a_slow_replica_is_told_of_and_never_restarted_for_it(machine):
    one = machine(replicas=2)
    one.run(2)
    work_beside(one, 30)
    assert one.sink.order == []

    work_beside(one, 200, slow=4.0)

    assert one.sink.order == [("ReplicaDegraded", "firing")]
    view = one.view("replica-1")
    assert view.verdict.reason is Reason.SLOWER_THAN_SIBLINGS
    assert view.replica.routable
    assert one.view("replica-0").verdict.health is Health.BUSY
    [alert] = one.sink.alerts.values()
    assert (alert.severity.value, alert.replica) == ("warning", "replica-1")
    assert "12.0 ms per document, against 3.0 ms" in alert.summary

    work_beside(one, 200)

    assert one.sink.order[1:] == [("ReplicaDegraded", "resolved")]
    assert (one.view("replica-0").replica.generation, one.generation) == (1, 1)
    changes = [(row.subject, row.new, row.reason) for row in one.transitions(2)]
    assert changes == [
        ("replica-1", "well", "busy"),
        ("replica-1", "degraded", "slower_than_siblings"),
    ]


def test_a_slow_replica_that_dies_is_dead_and_not_slow(machine):
    one = machine(replicas=2)
    one.run(2)
    work_beside(one, 200, slow=4.0)
    one.host.die(one.worker("replica-1"), 137)
    one.run(2)

    assert one.sink.order == [
        ("ReplicaDegraded", "firing"),
        ("ReplicaDegraded", "resolved"),
        ("ReplicaDead", "firing"),
        ("ReplicaDead", "resolved"),
    ]


LEAKY = LoopLimits(leak=LeakLimits(bytes_per_h=100 * 2**20, window_s=1800, settle_s=300))


def grow(one, hours, per_h, where="host"):
    """One replica's memory grows by so many MiB an hour; looked at every ten seconds."""
    worker = one.worker()
    for _ in range(int(hours * 360)):
        if worker is not one.worker():
            return
        grown = per_h * (one.clock.mono - 1000) / 3600 * 2**20
        if where == "host":
            worker.resident_bytes = 100 + int(grown)
        else:
            hold = GpuProcess(worker.identity.pid, int(grown))
            sample = CardSample(Card("GPU-A", 0, "H100", "0:1:0"), {}, (hold,))
            one.inbox.post(CardsSeen(GpuRound(one.clock.mono, "580", (sample,))))
        one.run(10.0, step=10.0)


@pytest.mark.parametrize("where", ["host", "card"])
def test_a_replica_whose_memory_keeps_growing_is_recycled_in_good_order(machine, where):
    one = machine(replicas=2, limits=LEAKY)
    one.run(2)
    grow(one, 2, per_h=200, where=where)
    one.run(5)

    assert one.generation == 2
    assert one.host.calls.count("terminate") == 1  # it drained
    assert "kill" not in one.host.calls
    [told] = {alert.summary for alert in one.sink.alerts.values()}
    place = " on its card" if where == "card" else ""
    assert told == f"replica-0: its memory{place} grows by 200 MiB an hour"
    assert one.view().replica.restarts == 0  # it spends no budget


def test_growth_that_ends_is_no_leak(machine):
    one = machine(replicas=2, limits=LEAKY)
    one.run(2)
    grow(one, 0.1, per_h=5000)
    grow(one, 1.5, per_h=20)

    assert one.sink.order == []
    assert one.generation == 1
