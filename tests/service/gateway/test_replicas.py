from __future__ import annotations

import asyncio
import json
import time
from dataclasses import replace
from pathlib import Path

import pytest

from service.gateway.directory import Seen, StateDirectory
from service.gateway.replicas import NoReplica, Replicas
from service.gateway.routing import STALLED_S, Failure, Why
from service.manifest import Manifest, Verdict, WorkerState, replicas_dir, write_manifest


def manifest(name: str = "replica-0", generation: int = 1, **more: object) -> Manifest:
    fields = {"fingerprint": "f1", "model": "m1", "state": WorkerState.READY, **more}
    return Manifest(name, generation, 100 + generation, 7, "b", "http://x", "fake", **fields)


def seen(*manifests: Manifest) -> list[Seen]:
    return [Seen(one, None) for one in manifests]


class Clock:
    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.ahead


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def replicas(clock, tmp_path):
    return Replicas(StateDirectory(tmp_path), capacity=100, clock=clock)


def soon() -> float:
    return time.monotonic() + 5.0


async def waiting(replicas: Replicas, tokens: int) -> asyncio.Task:
    count = replicas.waiting
    task = asyncio.create_task(replicas.lease(tokens, deadline=soon()))
    while replicas.waiting == count:  # noqa: ASYNC110
        await asyncio.sleep(0)
    return task


class TestLeases:
    async def test_room_is_given_to_the_least_loaded(self, replicas):
        replicas.update(seen(manifest("a"), manifest("b")))
        got = [(await replicas.lease(10, deadline=soon())).replica.id for _ in range(4)]
        assert got == ["a", "b", "a", "b"]

    async def test_a_replica_with_a_late_chunk_is_left_alone_for_a_while(self, replicas, clock):
        replicas.update(seen(manifest("a"), manifest("b")))
        late = await replicas.lease(10, deadline=soon())
        late.release()
        replicas.stalled(late.replica)
        got = [(await replicas.lease(10, deadline=soon())).replica.id for _ in range(2)]
        clock.ahead += STALLED_S + 1.0
        assert (late.replica.id, got) == ("a", ["b", "b"])
        assert (await replicas.lease(10, deadline=soon())).replica.id == "a"

    async def test_who_waits_is_served_in_turn_when_room_comes(self, replicas):
        replicas.update(seen(manifest()))
        first = await replicas.lease(100, deadline=soon())
        order: list[str] = []
        one, two = await waiting(replicas, 40), await waiting(replicas, 40)
        one.add_done_callback(lambda _: order.append("one"))
        two.add_done_callback(lambda _: order.append("two"))
        first.release()
        await asyncio.wait_for(asyncio.gather(one, two), 1.0)
        assert order == ["one", "two"]
        assert replicas.waiting == 0

    async def test_a_small_one_does_not_overtake_a_large_one(self, replicas):
        replicas.update(seen(manifest()))
        first = await replicas.lease(60, deadline=soon())
        large, small = await waiting(replicas, 90), await waiting(replicas, 10)
        await asyncio.sleep(0.01)
        assert not small.done()
        first.release()
        await asyncio.wait_for(asyncio.gather(large, small), 1.0)

    async def test_one_chunk_alone_waits_for_an_idle_replica_and_has_all_of_it(self, replicas):
        replicas.update(seen(manifest()))
        first = await replicas.lease(1, deadline=soon())
        alone = asyncio.create_task(replicas.lease(1, deadline=soon(), alone=True))
        other = await waiting(replicas, 1)
        await asyncio.sleep(0.01)
        assert not alone.done()
        first.release()
        lease = await asyncio.wait_for(alone, 1.0)
        await asyncio.sleep(0.01)
        assert (first.alone, lease.alone, other.done()) == (False, True, False)
        lease.release()
        assert not (await asyncio.wait_for(other, 1.0)).alone

    async def test_who_leaves_the_queue_lets_the_next_one_go_on(self, replicas):
        replicas.update(seen(manifest()))
        await replicas.lease(60, deadline=soon())
        large, small = await waiting(replicas, 90), await waiting(replicas, 10)
        large.cancel()
        assert (await asyncio.wait_for(small, 1.0)).tokens == 10

    async def test_all_who_wait_are_served_by_a_replica_that_appears(self, replicas):
        tasks = [await waiting(replicas, 10) for _ in range(10)]
        replicas.update(seen(manifest()))
        await asyncio.wait_for(asyncio.gather(*tasks), 1.0)

    async def test_the_pause_of_an_ejected_replica_ends_by_itself(self, replicas):
        replicas.update(seen(manifest()))
        replicas.failed(replicas.all()[0], Failure.LOST)
        assert replicas.try_lease(1)[0] is None
        assert (await asyncio.wait_for(replicas.lease(1, deadline=soon()), 1.0)).tokens == 1

    @pytest.mark.parametrize(
        ("there", "why"),
        [
            pytest.param([], Why.NONE_READY, id="none there"),
            pytest.param([manifest()], Why.ALL_FULL, id="none with room"),
        ],
    )
    async def test_the_deadline_says_what_was_missing(self, replicas, there, why):
        replicas.update(seen(*there))
        if there:
            await replicas.lease(100, deadline=soon())
        with pytest.raises(NoReplica) as none:
            await replicas.lease(10, deadline=time.monotonic() + 0.02)
        assert none.value.why is why


class TestGenerations:
    async def work_on(self, replicas: Replicas) -> asyncio.Task:
        task = asyncio.create_task(asyncio.sleep(10))
        replicas.all()[0].work.add(task)
        await asyncio.sleep(0)
        return task

    async def test_the_next_generation_ends_what_the_last_one_still_has(self, replicas):
        replicas.update(seen(manifest(generation=1)))
        task = await self.work_on(replicas)
        replicas.update(seen(manifest(generation=2)))
        await asyncio.sleep(0)
        assert task.cancelled()

    async def test_one_that_went_in_order_may_finish_its_last_answers(self, replicas, clock):
        replicas.update(seen(manifest()))
        task = await self.work_on(replicas)
        replicas.update([])
        await asyncio.sleep(0)
        assert not task.done()
        clock.ahead = 1.1
        replicas.update([])
        await asyncio.sleep(0)
        assert task.cancelled()

    def test_a_new_generation_starts_with_a_clean_slate(self, replicas):
        replicas.update(seen(manifest(generation=1)))
        replicas.failed(replicas.all()[0], Failure.LOST)
        replicas.update(seen(manifest(generation=2)))
        assert replicas.try_lease(1)[0] is not None

    def test_a_manifest_that_is_written_again_keeps_what_is_known(self, replicas):
        replicas.update(seen(manifest()))
        replicas.failed(replicas.all()[0], Failure.LOST)
        replicas.update(seen(replace(manifest(), reason="still ready")))
        assert replicas.try_lease(1)[0] is None


class TestFingerprints:
    def test_the_more_common_one_is_given_out(self, replicas):
        replicas.update(
            seen(manifest("a"), manifest("b", fingerprint="f2"), manifest("c", fingerprint="f2"))
        )
        assert replicas.fingerprint == "f2"
        assert {replicas.try_lease(1)[0].replica.id for _ in range(4)} == {"b", "c"}

    def test_it_stays_while_half_of_them_have_it(self, replicas):
        replicas.update(seen(manifest("a"), manifest("b")))
        replicas.update(seen(manifest("a"), manifest("b", 2, fingerprint="f2")))
        assert (replicas.fingerprint, replicas.model) == ("f1", "m1")

    def test_it_stays_known_while_none_is_there(self, replicas):
        replicas.update(seen(manifest()))
        replicas.update([])
        assert (replicas.fingerprint, replicas.model) == ("f1", "m1")


@pytest.mark.parametrize(
    ("one", "verdict", "reason"),
    [
        pytest.param(manifest(), None, None, id="by hand and ready"),
        pytest.param(manifest(state=WorkerState.LOADING), None, "replica-0 loading", id="loading"),
        pytest.param(
            manifest(state=WorkerState.FAILED, reason="no such model"),
            None,
            "replica-0 failed: no such model",
            id="failed, with its cause",
        ),
        pytest.param(
            manifest(watched=True), None, "replica-0 awaiting_canary", id="watched, no verdict"
        ),
        pytest.param(
            manifest(watched=True),
            Verdict(1, routable=False, reason="scores_wrong"),
            "replica-0 scores_wrong",
            id="watched, judged",
        ),
        pytest.param(manifest(watched=True), Verdict(1, True, "healthy"), None, id="healthy"),
    ],
)
def test_why_it_is_not_ready(replicas, one, verdict, reason):
    replicas.update([Seen(one, verdict)])
    assert replicas.not_ready_reason() == reason


class TestDirectory:
    def test_files_that_are_no_manifests_are_left_out(self, tmp_path):
        write_manifest(tmp_path, manifest("a"))
        folder = replicas_dir(tmp_path)
        (folder / "half.json").write_text('{"id": "ha')
        (folder / "other.json").write_text("[]")
        (folder / ".b.json.77").write_text("{}")
        (folder / "notes.txt").write_text("")
        assert [one.manifest.id for one in StateDirectory(tmp_path).read()] == ["a"]

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("pid", "12"),
            ("generation", None),
            ("model", 7),
            ("url", None),
            ("url", "127.0.0.1:8001"),
            ("url", "http://127.0.0.1:port"),
            ("url", "http://["),
        ],
    )
    def test_a_manifest_that_nobody_could_use_is_none(self, tmp_path, field, value):
        write_manifest(tmp_path, manifest("a"))
        path = replicas_dir(tmp_path) / "a.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), field: value}))

        assert StateDirectory(tmp_path).read() == []

    def test_a_change_is_seen_and_what_is_gone_is_gone(self, tmp_path):
        directory = StateDirectory(tmp_path)
        assert directory.read() == []
        write_manifest(tmp_path, manifest("a", state=WorkerState.LOADING))
        assert directory.read()[0].manifest.state is WorkerState.LOADING
        write_manifest(tmp_path, manifest("a"))
        assert directory.read()[0].manifest.state is WorkerState.READY
        (replicas_dir(tmp_path) / "a.json").unlink()
        assert directory.read() == []

    def test_a_folder_that_vanishes_is_an_error_and_not_an_empty_one(self, tmp_path: Path):
        directory = StateDirectory(tmp_path)
        write_manifest(tmp_path, manifest("a"))
        directory.read()
        replicas_dir(tmp_path).rename(tmp_path / "elsewhere")
        with pytest.raises(FileNotFoundError):
            directory.read()


class TestDepartures:
    """What tells quarantine.py that replicas ended together, whether they had work or not."""

    @pytest.mark.parametrize(
        "then",
        [
            pytest.param([Seen(manifest(), Verdict(1, False, "process_gone"))], id="verdict"),
            pytest.param([], id="manifest gone"),
            pytest.param(seen(manifest(generation=2)), id="next generation"),
        ],
    )
    def test_a_replica_that_cannot_be_used_any_more_has_departed(self, replicas, clock, then):
        replicas.update([Seen(manifest(watched=True), Verdict(1, True, "healthy"))])
        before = clock()
        replicas.update(
            [replace(one, manifest=replace(one.manifest, watched=True)) for one in then]
        )
        (at,) = replicas.departed.values()
        assert before <= at <= clock()
        assert [key.rpartition("/")[0] for key in replicas.departed] == ["replica-0/1/101"]

    def test_so_has_one_that_does_not_accept_connections_once(self, replicas, clock):
        replicas.update(seen(manifest()))
        one = replicas.all()[0]
        replicas.failed(one, Failure.UNREACHABLE)
        first = dict(replicas.departed)
        clock.ahead = 5.0
        replicas.failed(one, Failure.UNREACHABLE)
        replicas.update([])
        assert len(first) == 1
        assert replicas.departed == first

    def test_one_that_failed_and_answers_has_not(self, replicas):
        replicas.update(seen(manifest()))
        for _ in range(5):
            replicas.failed(replicas.all()[0], Failure.ERROR)
        assert not replicas.departed

    def test_one_that_never_could_be_used_has_not(self, replicas):
        replicas.update(seen(manifest(state=WorkerState.LOADING)))
        replicas.update([])
        assert not replicas.departed

    def test_old_departures_are_forgotten_when_there_are_new_ones(self, replicas, clock):
        for generation in range(50):
            replicas.update(seen(manifest(generation=generation)))
            clock.ahead += 1.0
        assert 0 < len(replicas.departed) <= 11
