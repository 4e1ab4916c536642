from __future__ import annotations

import asyncio

import pytest

from service.manifest import Manifest, WorkerState, read_manifest
from service.worker import publisher
from service.worker.publisher import Publisher


def manifest(state: WorkerState) -> Manifest:
    return Manifest(
        id="replica-0",
        generation=1,
        pid=1,
        started_ticks=1,
        boot_id="b",
        url="http://127.0.0.1:1",
        engine="scripted",
        model="m",
        state=state,
    )


@pytest.fixture
async def refused(tmp_path, monkeypatch):
    """A state directory that cannot be written: where its folder should be there is a file."""
    monkeypatch.setattr(publisher, "FIRST_PAUSE_S", 0.01)
    (tmp_path / "replicas").write_text("in the way")
    one = Publisher(tmp_path)
    yield one, tmp_path
    await one.close()


async def test_a_manifest_that_cannot_be_written_is_written_as_soon_as_it_can(refused):
    one, folder = refused
    one.publish(manifest(WorkerState.LOADING))
    one.publish(manifest(WorkerState.READY))
    await asyncio.sleep(0.03)
    (folder / "replicas").unlink()

    for _ in range(500):
        found = read_manifest(folder / "replicas" / "replica-0.json")
        if found is not None:
            break
        await asyncio.sleep(0.01)

    assert found is not None
    assert found.state is WorkerState.READY  # the last word, and not the first


async def test_an_end_does_not_wait_for_a_disk_that_refuses(refused):
    one, _ = refused
    one.publish(manifest(WorkerState.LOADING))

    await asyncio.wait_for(one.close(), 5)


async def test_a_disk_that_writes_costs_no_wait(tmp_path):
    one = Publisher(tmp_path)
    one.publish(manifest(WorkerState.READY))

    assert read_manifest(tmp_path / "replicas" / "replica-0.json").state is WorkerState.READY
    await one.close()
