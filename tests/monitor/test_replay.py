from __future__ import annotations

import json
from pathlib import Path

import pytest

from monitor.collectors.replay import (
    RecordingError,
    RecordingReader,
    RecordingWriter,
    ReplayReader,
    load,
)
from monitor.gpu import Field
from monitor.model import Unavailable, Why

FOLDER = Path(__file__).parents[1] / "recordings"
RECORDINGS = sorted(FOLDER.glob("*.jsonl"))


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.stem)
def test_every_shipped_recording_says_that_it_is_synthetic_and_plays(path):
    recording = load(path)
    found = ReplayReader(recording, Clock()).read()

    assert recording.synthetic
    assert recording.about
    assert [sample.card for sample in found.cards] == list(recording.cards)
    assert all(sample.number(Field.MEMORY_TOTAL) for sample in found.cards)


def test_it_plays_in_its_own_time_and_begins_anew():
    clock = Clock()
    reader = ReplayReader(load(FOLDER / "h100x2-lost.jsonl"), clock)
    assert reader.read().cards[1].fault is None
    clock.now += 20.5
    found = reader.read()
    assert found.cards[1].fault == Unavailable(Why.GPU_LOST, "synthetic")
    assert [(event.xid, event.pci_bus_id) for event in found.xids] == [(79, "0000:14:00")]
    assert found.cards[0].fault is None
    assert reader.read().xids == ()

    clock.now += 41
    reader.read()
    clock.now += 1

    assert reader.read().cards[1].fault is None


def test_what_is_not_supported_stays_a_word():
    found = ReplayReader(load(FOLDER / "a10x1.jsonl"), Clock()).read()

    assert found.cards[0].values[Field.MIG] == Unavailable(Why.NOT_SUPPORTED)


def test_what_was_written_plays_back_the_same(tmp_path):
    clock = Clock()
    reader = ReplayReader(load(FOLDER / "h100x2-lost.jsonl"), clock)
    writer = RecordingWriter(tmp_path / "again.jsonl", "copied by a test")
    written = []
    for _ in range(40):
        written.append(reader.read())
        writer.write(written[-1])
        clock.now += 1

    recording = load(tmp_path / "again.jsonl")
    again = Clock()
    player = ReplayReader(recording, again)
    played = []
    for _ in range(40):
        played.append(player.read())
        again.now += 1

    assert [one.cards for one in played] == [one.cards for one in written]
    assert not recording.synthetic


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("nonsense", id="no JSON"),
        pytest.param('{"format": "other", "version": 1, "cards": []}', id="another format"),
        pytest.param(
            '{"format": "rankguard-recording", "version": 9, "cards": []}', id="a later version"
        ),
        pytest.param(
            '{"format": "rankguard-recording", "version": 1, "cards": []}', id="no frames"
        ),
        pytest.param(
            '{"format": "rankguard-recording", "version": 1, "cards": []}\n{"at": "x"}',
            id="a frame without a time",
        ),
    ],
)
def test_a_file_that_is_no_recording_is_told_in_words(tmp_path, text):
    (tmp_path / "r.jsonl").write_text(text)

    with pytest.raises(RecordingError):
        load(tmp_path / "r.jsonl")
    with pytest.raises(RecordingError):
        load(tmp_path / "missing.jsonl")


def test_fields_of_a_later_version_are_left_out(tmp_path):
    head = {
        "format": "rankguard-recording",
        "version": 1,
        "cards": [{"uuid": "A", "index": 0, "name": "x", "pci_bus_id": "04:00"}],
    }
    frame = {"at": 0, "cards": {"A": {"values": {"power_watts": 5, "flux": 88}}}}
    path = tmp_path / "r.jsonl"
    path.write_text(json.dumps(head) + "\n" + json.dumps(frame))

    found = ReplayReader(load(path), Clock()).read()

    assert dict(found.cards[0].values) == {Field.POWER: 5.0}


def test_a_recording_that_cannot_be_written_blinds_nobody(tmp_path):
    path = RECORDINGS[0]
    writer = RecordingWriter(tmp_path / "no such folder" / "cards.jsonl", "a full disk")
    reader = RecordingReader(ReplayReader(load(path)), writer)

    assert reader.read().cards
    assert reader.read().cards
