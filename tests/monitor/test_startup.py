"""What the watchdog does about a journal that it cannot open."""

from __future__ import annotations

import sqlite3

import pytest

from monitor.journal import Journal, Transition
from monitor.startup import CannotStart, open_journal

STARTED = Transition(1.0, "replica-0", 1, "stopped", "starting", "first_start", "")


def write(path):
    journal = Journal(path)
    for _ in range(200):
        journal.record(STARTED)
    journal.close()


def overwrite(path):
    path.write_bytes(b"this is no database, and longer than its header" * 100)


def break_pages(path):
    content = bytearray(path.read_bytes())
    content[100:4096] = b"\xff" * (4096 - 100)
    path.write_bytes(bytes(content))


@pytest.mark.parametrize("damage", [overwrite, break_pages])
def test_a_damaged_journal_is_kept_aside_and_a_new_one_begins(tmp_path, damage):
    path = tmp_path / "journal.db"
    write(path)
    damage(path)
    damaged = path.read_bytes()

    journal = open_journal(path)
    journal.record(STARTED)
    journal.close()

    assert (tmp_path / "journal.db.damaged").read_bytes() == damaged
    with sqlite3.connect(path) as db:
        assert db.execute("SELECT count(*) FROM transitions").fetchone() == (1,)


def test_a_journal_that_another_one_holds_is_not_put_aside(tmp_path, monkeypatch):
    path = tmp_path / "journal.db"
    write(path)
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda path, **_: connect(path, timeout=0.1))
    with connect(path, isolation_level=None) as other:
        other.execute("PRAGMA journal_mode=DELETE")
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(CannotStart, match="locked"):
            open_journal(path)

    assert not (tmp_path / "journal.db.damaged").exists()


def test_a_place_that_cannot_be_written_is_a_sentence(tmp_path):
    (tmp_path / "state").write_text("a file")

    with pytest.raises(CannotStart, match="cannot open the journal"):
        open_journal(tmp_path / "state" / "journal.db")
