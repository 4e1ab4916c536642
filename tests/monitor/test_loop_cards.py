"""The loop over fakes and recorded cards: whose fault it is decides what is done."""

from __future__ import annotations

from dataclasses import replace

import pytest

from monitor.gpu import Card, CardSample, Field, GpuProcess, GpuRound, Instance, XidEvent
from monitor.host import HostSample
from monitor.inbox import CardsSeen, CordonAsked, HostSeen, KernelSeen, LoadSeen
from monitor.limits import LoopLimits
from monitor.model import Unavailable, Why
from monitor.scaling import Load, ScalingLimits
from tests.monitor.fakes import Machine

A = Card("GPU-A", 0, "H100", "00000000:04:00.0")
B = Card("GPU-B", 1, "H100", "00000000:05:00.0")
VALUES = {
    Field.MEMORY_TOTAL: 100.0,
    Field.MEMORY_USED: 1.0,
    Field.RECOVERY_ACTION: 0.0,
}
LOST = Unavailable(Why.GPU_LOST, "code 15")


class Cards:
    """Two cards under a machine; a test says what is wrong with which."""

    def __init__(self, folder, replicas=1, **options):
        self.machine = Machine(folder, replicas, await_cards=True, **options)
        self.faults = {}
        self.values = {}
        self.processes = {}
        self.instances = {}
        self.driver = "580"

    def run(self, seconds):
        for _ in range(round(seconds)):
            self.look()
            self.machine.run(1.0)
            self.serve_on_cards()

    def serve_on_cards(self):
        """The fake workers say that they are vLLM: they need their cards."""
        for worker in self.machine.host.current.values():
            worker.manifest = replace(worker.manifest, engine="vllm")

    def look(self, *xids, more=()):
        now = self.machine.clock.mono
        samples = tuple(
            CardSample(card, fault=self.faults[card.uuid])
            if card.uuid in self.faults
            else CardSample(
                card,
                {**VALUES, **self.values.get(card.uuid, {})},
                self.processes.get(card.uuid, ()),
                instances=self.instances.get(card.uuid, ()),
            )
            for card in (A, B)
        )
        found = GpuRound(now, self.driver, (*samples, *more), xids)
        self.machine.inbox.post(CardsSeen(found))

    def xid(self, card, code, pid=None, source="kmsg"):
        address = card.pci_bus_id[4:].partition(".")[0]
        return XidEvent(self.machine.clock.mono, address, code, source, pid)

    def hold(self, uuid, pid, share):
        """A process holds so many of a card's hundred bytes."""
        self.processes[uuid] = (GpuProcess(pid, share),)
        self.values[uuid] = {Field.MEMORY_USED: float(share + 1)}

    def free(self, uuid):
        self.processes.pop(uuid)
        self.values.pop(uuid)

    @property
    def alerts(self):
        return list(self.machine.sink.alerts.values())

    def summary(self, name):
        return next(one.summary for one in self.alerts if one.name == name)

    @property
    def told(self):
        return [f"{name} {status}" for name, status in self.machine.sink.order]

    def card_of(self, replica="replica-0"):
        return self.machine.view(replica).replica.gpu_uuid


@pytest.fixture
def cards(tmp_path):
    made = []

    def make(**options):
        made.append(Cards(tmp_path, **options))
        made[-1].run(3)
        return made[-1]

    yield make
    for one in made:
        one.machine.journal.close()


def test_no_replica_starts_before_the_first_look_at_the_cards(tmp_path):
    one = Cards(tmp_path)
    one.machine.run(5)
    assert one.machine.host.calls == []

    one.run(2)

    assert one.machine.host.calls == ["start replica-0/1"]
    one.machine.journal.close()


@pytest.mark.parametrize(
    ("driver", "calls"),
    [
        pytest.param(Why.NOT_ANSWERING, [], id="still starting"),
        pytest.param(Why.TIMED_OUT, ["start replica-0/1"], id="given up"),
    ],
)
def test_replicas_wait_for_a_driver_that_starts_and_for_none_that_was_given_up(
    tmp_path, driver, calls
):
    one = Cards(tmp_path)
    one.driver = Unavailable(driver)
    one.run(5)

    assert one.machine.host.calls == calls
    one.machine.journal.close()


def test_replicas_are_spread_over_the_cards(cards):
    one = cards(replicas=2)

    assert {one.card_of("replica-0"), one.card_of("replica-1")} == {"GPU-A", "GPU-B"}


def test_a_lost_card_moves_its_replica_and_nobody_elses(cards):
    one = cards()
    assert one.card_of() == "GPU-A"
    one.faults["GPU-A"] = LOST
    one.run(4)

    assert one.card_of() == "GPU-B"
    assert one.machine.view().replica.routable
    assert "GpuLost firing" in one.told
    assert one.told.count("ReplicaDead firing") == 1
    one.run(30)
    assert one.machine.generation == 2


def test_a_lost_card_is_not_back_because_it_cannot_be_read_for_another_reason(cards):
    one = cards()
    one.faults["GPU-B"] = LOST
    one.run(3)
    one.faults["GPU-B"] = Unavailable(Why.TIMED_OUT)
    one.run(5)
    assert one.told == ["GpuLost firing"]

    del one.faults["GPU-B"]
    one.run(2)
    assert one.told == ["GpuLost firing", "GpuLost resolved"]


def test_without_another_card_the_replica_waits_and_is_not_restarted_there(cards):
    one = cards(replicas=2)
    one.faults["GPU-B"] = LOST
    victim = "replica-0" if one.card_of("replica-0") == "GPU-B" else "replica-1"
    one.values["GPU-A"] = {Field.MEMORY_USED: 90.0}
    one.run(30)

    view = one.machine.view(victim)
    assert view.waiting.value == "gpu_memory_held"
    assert view.replica.generation == 1
    assert "ReplicaCrashLoop firing" not in one.told

    del one.faults["GPU-B"]
    one.values["GPU-B"] = {}
    one.run(70)
    assert one.machine.view(victim).replica.generation == 2


def test_a_driver_that_hiccups_touches_no_replica_and_is_told_of_once(cards):
    one = cards()
    one.driver = Unavailable(Why.DRIVER_GONE, "code 9")
    one.faults = {"GPU-A": one.driver, "GPU-B": one.driver}
    one.run(30)

    assert one.machine.generation == 1
    assert one.told == ["DriverUnavailable firing"]
    one.driver, one.faults = "580", {}
    one.run(2)
    assert one.told == ["DriverUnavailable firing", "DriverUnavailable resolved"]


def test_readings_that_nobody_renews_are_not_shown_as_present_ones(cards):
    """Whatever keeps the looks away: the cards are not known any more, and nobody is touched."""
    one = cards()
    one.machine.run(28)
    assert all(view.sample.fault is None for view in one.machine.snapshot.cards)

    one.machine.run(20)
    assert all(view.sample.fault is not None for view in one.machine.snapshot.cards)
    assert one.told == ["DriverUnavailable firing"]
    assert one.machine.generation == 1

    one.run(2)
    assert one.told == ["DriverUnavailable firing", "DriverUnavailable resolved"]


def test_looks_that_are_rare_by_choice_are_no_silence(cards):
    one = cards(limits=LoopLimits(poll_s=60))
    one.machine.run(150)

    assert one.told == []


@pytest.mark.parametrize(
    ("reading", "usable"),
    [
        pytest.param(Unavailable(Why.FAILED, "code 999"), False, id="it could not be read"),
        pytest.param(0.0, True, id="nothing"),
        pytest.param(Unavailable(Why.NOT_SUPPORTED), True, id="another driver that has no word"),
    ],
)
def test_a_reset_that_the_driver_asks_for_holds_until_it_says_otherwise(cards, reading, usable):
    one = cards()
    one.values["GPU-A"] = {Field.RECOVERY_ACTION: 1.0}
    one.run(3)
    assert one.card_of() == "GPU-B"

    one.values["GPU-A"] = {Field.RECOVERY_ACTION: reading}
    one.run(2)

    assert (one.machine.snapshot.cards[0].verdict.state.value == "ok") is usable


def test_a_card_without_a_name_is_told_of_until_it_has_one(cards):
    one = cards()
    unnamed = Card("index:2", 2, "", "")
    broken = CardSample(unnamed, fault=Unavailable(Why.FAILED, "code 999"))
    for _ in range(15):
        one.look(more=(broken,))
        one.machine.run(1)
    assert one.told == ["DriverUnavailable firing"]

    one.run(2)
    assert one.told == ["DriverUnavailable firing", "DriverUnavailable resolved"]
    assert [view.card.uuid for view in one.machine.snapshot.cards] == ["GPU-A", "GPU-B"]


def test_a_card_that_hangs_touches_no_replica(cards):
    one = cards()
    one.faults["GPU-A"] = Unavailable(Why.TIMED_OUT)
    one.run(60)

    assert one.machine.generation == 1
    assert one.machine.view().replica.routable


def test_an_xid_of_its_process_restarts_the_replica(cards):
    one = cards()
    pid = one.machine.worker().identity.pid
    one.machine.inbox.post(KernelSeen(one.xid(A, 31, pid=pid)))
    one.run(3)

    assert one.machine.generation == 2
    assert one.machine.snapshot.counters.restarts == {("replica-0", "gpu_fault"): 1}


@pytest.mark.parametrize(
    ("code", "pid"),
    [
        pytest.param(43, None, id="log only"),
        pytest.param(31, 99_999_999, id="of a stranger's process"),
        pytest.param(31, None, id="of an unknown process: the canary is asked and passes"),
    ],
)
def test_other_xids_restart_nobody(cards, code, pid):
    one = cards()
    one.machine.inbox.post(KernelSeen(one.xid(A, code, pid=pid)))
    one.run(5)

    assert one.machine.generation == 1
    assert "GpuXid firing" in one.told


def test_a_reset_class_xid_moves_the_replica(cards):
    one = cards()
    one.machine.inbox.post(KernelSeen(one.xid(A, 119)))
    one.run(4)

    assert one.card_of() == "GPU-B"
    assert "GpuResetRequired firing" in one.told


def test_an_xid_that_comes_before_the_first_look_at_the_cards_counts(tmp_path):
    one = Cards(tmp_path)
    one.machine.inbox.post(KernelSeen(one.xid(A, 119)))
    one.machine.run(2)

    one.run(3)

    assert one.card_of() == "GPU-B"
    assert "GpuResetRequired firing" in one.told
    one.machine.journal.close()


def test_a_storm_of_xids_is_one_incident(cards):
    one = cards()
    for _ in range(500):
        one.machine.inbox.post(KernelSeen(one.xid(A, 92)))
        one.look(one.xid(A, 92, source="nvml"))
        one.machine.loop.tick()
    one.run(5)

    assert one.told == ["GpuXid firing"]
    one.run(200)
    assert one.told == ["GpuXid firing", "GpuXid resolved"]


def test_the_same_event_from_both_sources_counts_once(cards):
    one = cards()
    one.machine.inbox.post(KernelSeen(one.xid(A, 92)))
    one.look(one.xid(A, 92, source="nvml"))
    one.run(1)

    assert one.machine.snapshot.cards[0].xids == {92: 1}


def test_memory_of_a_process_that_is_gone_does_not_block_a_start(cards):
    """Its own: the card's last reading is from before its end."""
    one = cards()
    worker = one.machine.worker()
    one.hold("GPU-A", worker.identity.pid, 90)
    one.hold("GPU-B", 4_000_001, 90)
    one.run(2)
    one.machine.host.die(worker, 137)
    one.machine.loop.tick()

    assert one.card_of() == "GPU-A"
    assert one.machine.generation == 2


def test_memory_that_a_stranger_holds_sends_the_replica_elsewhere_and_is_told_of(cards):
    one = cards()
    one.hold("GPU-A", 4_000_001, 60)
    one.run(5)
    assert one.told == []  # a short test of somebody's is nobody's business

    one.run(8)
    assert one.told == ["GpuMemoryHeldByStranger firing"]
    assert "60% of its memory is held by pid 4000001" in one.summary("GpuMemoryHeldByStranger")
    one.machine.host.die(one.machine.worker(), 137)
    one.run(3)
    assert one.card_of() == "GPU-B"
    assert one.machine.view().replica.routable

    one.free("GPU-A")
    one.run(2)
    assert "GpuMemoryHeldByStranger resolved" in one.told


def test_with_strangers_on_every_card_it_waits_until_memory_is_really_free(cards):
    one = cards()
    for uuid in ("GPU-A", "GPU-B"):
        one.hold(uuid, 4_000_001, 60)
    one.machine.host.die(one.machine.worker(), 137)
    one.run(20)
    assert one.machine.view().waiting.value == "gpu_memory_held"
    assert one.machine.generation == 1

    one.free("GPU-B")
    one.run(3)

    assert (one.machine.generation, one.card_of()) == (2, "GPU-B")


def test_memory_that_no_process_accounts_for_is_told_of_and_not_started_on(cards):
    one = cards()
    one.hold("GPU-A", one.machine.worker().identity.pid, 10)
    one.values["GPU-A"] = {Field.MEMORY_USED: 80.0}
    one.run(13)
    one.machine.host.die(one.machine.worker(), 137)
    one.run(3)

    assert "held by no process" in one.summary("GpuMemoryHeldByStranger")
    assert one.card_of() == "GPU-B"


@pytest.mark.parametrize(
    "pids", [(), (4_000_003,)], ids=["no process", "pids of another namespace"]
)
def test_a_driver_that_does_not_know_our_processes_calls_no_replica_a_stranger(cards, pids):
    """In a container of its own: what the replica holds is held by nobody who can be seen."""
    one = cards()
    one.machine.host.unseen = set(pids)
    one.processes["GPU-A"] = tuple(GpuProcess(pid, 80) for pid in pids)
    one.values["GPU-A"] = {Field.MEMORY_USED: 80.0}
    one.run(30)
    assert one.told == []

    # what stays on the card when the replica is gone is no longer its own
    one.hold("GPU-B", 4_000_001, 90)
    one.machine.host.die(one.machine.worker(), 137)
    one.run(20)
    assert one.machine.view().waiting.value == "gpu_memory_held"
    assert any("GPU-A: 80% of its memory" in alert.summary for alert in one.alerts)


def test_a_stranger_who_can_be_seen_is_told_of_beside_a_replica_who_cannot(cards):
    one = cards()
    one.machine.host.unseen = {4_000_003}
    one.processes["GPU-A"] = (GpuProcess(4_000_003, 40), GpuProcess(4_000_001, 30))
    one.values["GPU-A"] = {Field.MEMORY_USED: 70.0}
    one.run(13)

    assert "30% of its memory is held by pid 4000001" in one.summary("GpuMemoryHeldByStranger")


def test_memory_of_a_pid_that_ended_is_free_only_on_its_replicas_own_card(cards):
    """Elsewhere the pid is of another namespace, and who has it there may hold it still."""
    one = cards()
    worker = one.machine.worker()
    one.hold("GPU-A", 4_000_001, 90)
    one.hold("GPU-B", worker.identity.pid, 90)
    one.run(1)
    one.machine.host.die(worker, 137)
    one.machine.loop.tick()

    assert one.machine.generation == 1
    assert one.machine.view().waiting.value == "gpu_memory_held"


def test_an_orphan_of_ours_is_reaped_before_the_replica_starts_again(cards):
    one = cards()
    host = one.machine.host
    host.orphans = {4_000_002}
    one.hold("GPU-A", 4_000_002, 60)
    one.hold("GPU-B", 4_000_001, 60)
    host.die(one.machine.worker(), 137)
    one.run(1)
    assert host.orphans == set()
    assert one.machine.generation == 1  # its memory is not free yet
    one.free("GPU-A")
    one.run(2)

    assert (one.machine.generation, one.card_of()) == (2, "GPU-A")
    [row] = [row for row in one.machine.transitions(9) if row.new == "reaped"]
    assert (row.reason, row.detail) == ("orphan", "pid 4000002")


def test_an_orphan_that_cannot_be_ended_is_told_of_as_a_stranger_is(cards):
    one = cards()
    one.machine.host.orphans = one.machine.host.unkillable = {4_000_002}
    one.hold("GPU-A", 4_000_002, 60)
    one.run(13)

    assert one.told == ["GpuMemoryHeldByStranger firing"]


def test_a_replicas_own_memory_is_nobodys_finding(cards):
    one = cards()
    one.hold("GPU-A", one.machine.worker().identity.pid, 90)
    one.run(20)

    assert one.told == []
    assert one.machine.loop.replicas()[0].gpu_uuid == "GPU-A"


def test_a_cordoned_card_gets_no_replica_and_no_alert(cards):
    one = cards()
    one.machine.inbox.post(CordonAsked("GPU-A", cordon=True, for_s=60))
    one.machine.host.die(one.machine.worker(), 137)
    one.run(3)
    assert one.card_of() == "GPU-B"
    one.faults["GPU-A"] = LOST
    one.run(5)
    assert "GpuLost firing" not in one.told

    one.run(60)

    assert "GpuLost firing" in one.told


def test_a_cordon_outlives_the_watchdog(cards, tmp_path):
    one = cards()
    one.machine.inbox.post(CordonAsked("GPU-A", cordon=True))
    one.run(1)

    two = Cards(tmp_path, host=one.machine.host, clock=one.machine.clock)
    two.run(2)

    assert [view.cordoned for view in two.machine.snapshot.cards] == [True, False]
    two.machine.journal.close()


def test_a_full_disk_is_told_of_and_a_full_cpu_is_not(cards):
    one = cards()
    sample = HostSample(1.0, 1.0, 10**9, 10**10, 0, {"/var": (10**6, 10**9)}, 10, 1024)
    one.machine.inbox.post(HostSeen(sample))
    one.run(1)
    assert one.told == ["HostDiskFull firing"]

    one.machine.inbox.post(HostSeen(replace(sample, disks={"/var": (10**9, 10**10)})))
    one.run(1)

    assert one.told == ["HostDiskFull firing", "HostDiskFull resolved"]


def test_scaling_adds_a_replica_and_drains_it_again(cards):
    limits = ScalingLimits(1, 2, tokens_per_replica=100, down_after_s=20, cooldown_s=5)
    one = cards(scaling=limits)
    one.machine.inbox.post(LoadSeen(Load(1000, 0.1)))
    one.run(30)
    assert [view.replica.routable for view in one.machine.snapshot.replicas] == [True, True]

    one.machine.inbox.post(LoadSeen(Load(0, None)))
    one.run(40)

    assert [view.replica.id for view in one.machine.snapshot.replicas] == ["replica-0"]
    assert one.machine.host.calls.count("kill") == 0
    assert "terminate" in one.machine.host.calls
    assert one.told == []


def sliced(*used):
    return tuple(Instance(f"MIG-{index}", 10, held) for index, held in enumerate(used))


@pytest.fixture
def slices(tmp_path):
    """Card A is cut into two; card B is another's."""
    one = Cards(tmp_path, replicas=2)
    one.values["GPU-A"] = {Field.MIG: 1.0, Field.MEMORY_USED: 90.0}
    one.values["GPU-B"] = {Field.MEMORY_USED: 90.0}
    one.instances["GPU-A"] = sliced(0, 0)
    one.run(4)
    yield one
    one.machine.journal.close()


def test_each_slice_of_a_card_is_a_place_of_its_own(slices):
    assert {slices.card_of("replica-0"), slices.card_of("replica-1")} == {"MIG-0", "MIG-1"}


def test_a_slice_whose_memory_is_held_gets_no_replica(slices):
    victim = "replica-0" if slices.card_of("replica-0") == "MIG-0" else "replica-1"
    slices.instances["GPU-A"] = sliced(9, 0)
    slices.look()
    slices.machine.host.die(slices.machine.worker(victim), 137)
    slices.run(3)

    assert slices.card_of(victim) == "MIG-1"


def test_a_fault_of_the_card_is_one_of_all_its_slices(slices):
    slices.faults["GPU-A"] = LOST
    slices.run(5)

    waiting = [slices.machine.view(name).waiting for name in ("replica-0", "replica-1")]
    assert [reason.value for reason in waiting] == ["gpu_memory_held"] * 2
    assert "GpuLost firing" in slices.told


def test_a_card_with_mig_on_and_no_slice_is_no_place(cards):
    one = cards()
    one.values["GPU-A"] = {Field.MIG: 1.0}
    one.look()
    one.machine.host.die(one.machine.worker(), 137)
    one.run(3)

    assert one.card_of() == "GPU-B"
