"""A rollout in the loop: carried out over fakes, journaled, gone on with by the next watchdog."""

from __future__ import annotations

import pytest

from monitor.inbox import RolloutAsked, RolloutEnded
from monitor.model import CanaryOutcome
from monitor.ports import ActuatorError
from monitor.replica import Phase
from monitor.rolling import Rolling, to_json
from monitor.rollout import Stage, Why
from monitor.versions import NOTHING, Versions, is_name
from tests.monitor.fakes import Machine


class Site:
    """A state directory with a version in it, and the loop on it."""

    def __init__(self, folder, replicas=2, **options):
        self.folder = folder
        wanted = folder / "upgrade" / "v2"
        wanted.mkdir(parents=True)
        (wanted / "engine.toml").write_text("new")
        self.machine = Machine(folder, replicas=replicas, **options)
        self.join()

    def join(self):
        machine = self.machine
        rolling = Rolling(machine.journal, Versions(self.folder), machine.clock.now())
        machine.loop._rolling = rolling

    def ask(self, version="", **options):
        self.machine.inbox.post(RolloutAsked("r", version, **options))

    @property
    def rollout(self):
        return self.machine.snapshot.rollout

    def generations(self):
        return [view.replica.generation for view in self.machine.snapshot.replicas]

    def installed(self):
        current = self.folder / "engine.toml"
        return current.read_text() if current.exists() else None


@pytest.fixture
def site(tmp_path):
    made = Site(tmp_path)
    made.machine.run(3)
    yield made
    made.machine.journal.close()


def test_every_replica_is_restarted_and_never_two_at_a_time(site):
    site.ask()
    least = 2
    for _ in range(40):
        site.machine.run(0.5)
        up = sum(view.replica.routable for view in site.machine.snapshot.replicas)
        least = min(least, up)

    assert site.rollout.stage is Stage.DONE
    assert site.generations() == [2, 2]
    assert least == 1
    assert site.installed() is None


@pytest.mark.parametrize("jump", [7200, -7200])
def test_a_clock_that_is_set_makes_no_turn_late_and_none_endless(site, jump):
    site.machine.host.instantly_ready = False
    site.ask("v2", limit_s=60)
    site.machine.run(5)
    site.machine.clock.wall += jump
    site.machine.run(5)
    assert site.rollout.stage is Stage.ROLLING

    site.machine.host.instantly_ready = True
    site.machine.run(70)

    assert site.rollout.stage is not Stage.ROLLING


def test_a_version_is_installed_before_the_first_replica_restarts(site):
    seen = []
    start = site.machine.host.start
    site.machine.host.start = lambda *args: (seen.append(site.installed()), start(*args))[1]

    site.ask("v2")
    site.machine.run(20)

    assert site.rollout.stage is Stage.DONE
    assert seen == ["new", "new"]
    assert (site.folder / "upgrade" / "v2" / "before.toml").read_text() == NOTHING


def test_a_version_that_does_not_start_is_taken_back_and_told(site):
    start = site.machine.host.start

    def start_old(*args):
        if site.installed() == "new":
            raise ActuatorError("no", permanent=True)
        return start(*args)

    site.machine.host.start = start_old
    site.ask("v2")
    site.machine.run(20)

    assert (site.rollout.stage, site.rollout.reason) == (Stage.WENT_BACK, Why.GIVEN_UP)
    assert site.installed() == NOTHING
    assert all(view.replica.routable for view in site.machine.snapshot.replicas)
    assert site.generations()[1] == 1
    assert ("RolloutFailed", "firing") in site.machine.sink.order


def test_a_new_replica_whose_canary_is_wrong_takes_it_back(site):
    site.ask("v2")
    site.machine.run(0.5)
    for _ in range(60):
        worker = site.machine.host.current.get("replica-0")
        if worker is not None:
            wrong = site.installed() == "new" and worker.manifest.generation > 1
            worker.canary = CanaryOutcome.WRONG if wrong else CanaryOutcome.PASSED
        site.machine.run(0.5)

    assert site.rollout.stage is Stage.WENT_BACK
    assert all(view.replica.routable for view in site.machine.snapshot.replicas)


def test_the_next_watchdog_goes_on_with_it(site):
    site.ask("v2")
    site.machine.run(0.5)
    assert site.rollout.is_active
    (site.folder / "engine.toml").unlink()  # killed between the journal and the file

    site.join()
    assert site.installed() == "new"
    site.machine.run(20)

    assert site.rollout.stage is Stage.DONE
    assert site.generations() == [2, 2]


@pytest.mark.parametrize("ticks", range(1, 9))
def test_a_watchdog_that_was_killed_at_any_moment_has_a_successor_that_finishes_it(tmp_path, ticks):
    site = Site(tmp_path)
    site.machine.run(3)
    site.ask("v2", fingerprint="f")
    site.machine.run(0.5 * ticks)
    site.machine.journal.close()

    host, clock = site.machine.host, site.machine.clock
    site.machine = Machine(tmp_path, replicas=2, host=host, clock=clock)
    site.join()
    site.machine.run(20)

    assert (site.rollout.stage, site.rollout.reason) == (Stage.DONE, Why.ALL_NEW)
    assert site.generations() == [2, 2]
    site.machine.journal.close()


def test_an_operator_takes_it_back_on_the_way(site):
    site.ask("v2")
    site.machine.run(0.5)
    site.machine.inbox.post(RolloutEnded(back=True))
    site.machine.run(20)

    assert (site.rollout.stage, site.rollout.reason) == (Stage.WENT_BACK, Why.OPERATOR)
    assert site.installed() == NOTHING
    assert site.machine.sink.order == []


def test_an_operator_stops_it_where_it_is(site):
    site.ask()
    site.machine.run(0.5)
    site.machine.inbox.post(RolloutEnded(back=False))
    site.machine.run(20)

    assert site.rollout.stage is Stage.STOPPED
    assert site.generations() == [2, 1]


def test_a_second_one_is_not_begun_while_one_runs(site):
    site.ask("v2")
    site.machine.inbox.post(RolloutAsked("another"))
    site.machine.run(1)

    assert site.rollout.id == "r"


def test_a_version_that_is_not_there_changes_nothing(site):
    site.ask("v3")
    site.machine.run(5)

    assert (site.rollout.stage, site.rollout.reason) == (Stage.FAILED, Why.NO_SUCH_VERSION)
    assert site.generations() == [1, 1]


def test_every_stage_is_in_the_journal(site):
    site.ask("v2")
    site.machine.run(20)

    found = [
        (one.old, one.new, one.reason)
        for one in reversed(site.machine.transitions(50))
        if one.subject == "rollout"
    ]
    assert found == [("", "rolling", "asked"), ("rolling", "done", "all_new")]


def test_a_drained_replica_is_left_drained(site):
    watch = site.machine.loop._roster.get("replica-1")
    watch.replica = watch.replica.__class__("replica-1", Phase.DRAINED, generation=1)
    site.ask()
    site.machine.run(10)

    assert site.rollout.stage is Stage.DONE
    assert site.generations() == [2, 1]


def test_the_only_replica_is_helped_and_the_help_leaves_again(tmp_path):
    site = Site(tmp_path, replicas=1)
    site.machine.run(3)
    for _ in range(2):  # twice: how the help ended the first time must not matter
        site.ask("v2")
        least = 1
        for _ in range(60):
            site.machine.run(0.5)
            up = sum(view.replica.routable for view in site.machine.snapshot.replicas)
            least = min(least, up)
        assert site.rollout.stage is Stage.DONE
        assert least == 1
        assert [view.replica.id for view in site.machine.snapshot.replicas] == ["replica-0"]
    site.machine.journal.close()


def test_what_the_status_shows(site):
    site.ask("v2")
    site.machine.run(20)
    body = to_json(site.rollout)

    assert (body["stage"], body["version"], body["active"]) == ("done", "v2", False)
    assert body["replicas"] == ["replica-0", "replica-1"]


@pytest.mark.parametrize(
    ("text", "fine"),
    [("v2", True), ("20261122-1500", True), ("", False), ("../x", False), (".x", False)],
)
def test_a_version_is_one_folder(text, fine):
    assert is_name(text) is fine
