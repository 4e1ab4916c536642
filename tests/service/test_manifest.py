from __future__ import annotations

import json

import pytest

from service.manifest import (
    Manifest,
    Verdict,
    WorkerState,
    read_manifest,
    read_verdict,
    remove_manifest,
    replicas_dir,
    routable,
    write_json,
    write_manifest,
)

MANIFEST = Manifest(
    id="replica-0",
    generation=3,
    pid=42,
    started_ticks=7,
    boot_id="boot",
    url="http://127.0.0.1:1",
    engine="scripted",
    model="m",
    state=WorkerState.READY,
)


def changed(**fields):
    return Manifest(**{**{f: getattr(MANIFEST, f) for f in MANIFEST.__slots__}, **fields})


@pytest.mark.parametrize(
    ("manifest", "verdict", "expected"),
    [
        pytest.param(MANIFEST, None, (True, "ready"), id="unwatched worker is taken at its word"),
        pytest.param(
            changed(watched=True), None, (False, "awaiting_canary"), id="watched worker waits"
        ),
        pytest.param(
            changed(watched=True),
            Verdict(3, True, "healthy"),
            (True, "healthy"),
            id="a verdict on this generation opens it",
        ),
        pytest.param(
            changed(watched=True),
            Verdict(2, True, "healthy"),
            (False, "awaiting_canary"),
            id="the last generation's verdict says nothing",
        ),
        pytest.param(
            changed(watched=True), Verdict(3, False, "wrong"), (False, "wrong"), id="closed"
        ),
        pytest.param(
            changed(state=WorkerState.LOADING), None, (False, "loading"), id="loading is not ready"
        ),
        pytest.param(
            changed(watched=True, state=WorkerState.DRAINING),
            Verdict(3, True, "healthy"),
            (False, "draining"),
            id="a draining worker is closed whatever the verdict",
        ),
    ],
)
def test_routable_says_whether_and_why(manifest, verdict, expected):
    assert routable(manifest, verdict) == expected


def test_a_manifest_survives_the_disk(tmp_path):
    write_manifest(tmp_path, MANIFEST)

    assert read_manifest(replicas_dir(tmp_path) / "replica-0.json") == MANIFEST


@pytest.mark.parametrize("content", ["", "{", "[]", '{"id": 1}', '{"state": "asleep"}', "null"])
def test_a_file_that_is_no_manifest_is_none(tmp_path, content):
    path = tmp_path / "x.json"
    path.write_text(content)

    assert read_manifest(path) is None
    assert read_verdict(path) is None


def test_a_worker_removes_its_own_manifest_and_not_its_successors(tmp_path):
    write_manifest(tmp_path, changed(pid=43))
    remove_manifest(tmp_path, MANIFEST)
    assert read_manifest(replicas_dir(tmp_path) / "replica-0.json").pid == 43

    remove_manifest(tmp_path, changed(pid=43))
    assert not list(replicas_dir(tmp_path).iterdir())


def test_a_reader_never_sees_half_a_file(tmp_path):
    path = tmp_path / "v.json"
    write_json(path, {"generation": 1, "routable": True, "reason": "healthy"})
    write_json(path, {"generation": 2, "routable": False, "reason": "wrong"})

    assert json.loads(path.read_text())["generation"] == 2
    assert [p.name for p in tmp_path.iterdir()] == ["v.json"]
    assert read_verdict(path) == Verdict(2, False, "wrong")
