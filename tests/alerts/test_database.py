"""What a damaged or foreign database file costs: never the alerts that can still be read."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys

import pytest

from alerts.database import Database
from alerts.entry import State
from alerts.outbox import Outbox
from tests.alerts.make import alert
from tests.alerts.stand import NO, Stand

FIRING = ("firing", "ReplicaHung")


def test_a_silence_that_cannot_be_read_does_not_stop_the_alerts(tmp_path):
    stand = Stand(tmp_path)
    write = sqlite3.connect(tmp_path / "journal.db", isolation_level=None)
    write.execute("INSERT INTO alert_silence VALUES ('s', '{\"matchers\": [\"host=~(?z)\"]}', 9e9)")
    write.execute("INSERT INTO alert_silence VALUES ('t', 'not json', 9e9)")
    write.close()
    stand.pipeline.accept([alert()])
    stand.run(5)

    assert stand.delivered() == [FIRING]
    assert stand.pipeline.snapshot().silences == 0


def damage(path, table: str) -> None:
    """Overwrite the last page of a table's own tree, as a bad disk does."""
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    size = connection.execute("PRAGMA page_size").fetchone()[0]
    try:
        pages = connection.execute(
            "SELECT pageno FROM dbstat WHERE name = ? AND pagetype = 'leaf' ORDER BY pageno",
            (table,),
        ).fetchall()
    except sqlite3.OperationalError:
        pytest.skip("this SQLite has no dbstat")
    connection.close()
    assert len(pages) > 3
    with path.open("r+b") as file:
        file.seek((pages[-1][0] - 1) * size)
        file.write(b"\xff" * size)


@pytest.mark.parametrize("table", ["alert_message", "alert_event"])
def test_a_page_that_is_damaged_costs_no_row_of_another_page(table, tmp_path):
    stand = Stand(tmp_path)
    stand.answers["oncall"] = lambda _: NO
    stand.pipeline.accept([alert(replica=f"r-{n}", incident=n) for n in range(60)])
    stand.run(5)
    stand.pipeline.stop(1)
    damage(tmp_path / "journal.db", table)
    stand.answers.clear()
    stand.open()

    stand.run(120)

    told = {m.alerts[0].replica for m in stand.senders["oncall"].delivered}
    assert len(told) >= 50


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
def test_what_a_killed_process_left_in_the_write_ahead_log_is_read_from_a_read_only_disk(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(disk)]
    if subprocess.run(mount, check=False).returncode:
        pytest.skip("this container may not mount")
    script = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from tests.alerts.make import alert\n"
        "from tests.alerts.stand import Stand\n"
        "Stand(Path(sys.argv[1])).pipeline.accept([alert()])\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    try:
        subprocess.run([sys.executable, "-c", script, str(disk)], check=False)
        assert (disk / "journal.db-wal").stat().st_size > 0
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        stand = Stand(disk)
        stand.run(5)
        assert stand.delivered() == [FIRING]
        stand.pipeline.stop(1)
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def test_a_file_that_another_process_holds_for_long_costs_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr("alerts.database.BUSY_MS", 50)
    stand = Stand(tmp_path)
    stand.pipeline.accept([alert(replica="before")])
    stand.run(5)
    other = sqlite3.connect(tmp_path / "journal.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    stand.pipeline.accept([alert(replica="during", incident=2)])
    stand.run(5)
    other.execute("COMMIT")
    other.close()
    stand.run(30)

    assert stand.pipeline.snapshot().durable
    assert [m.alerts[0].replica for m in stand.senders["oncall"].delivered] == ["before", "during"]
    stand.restart()
    assert Outbox(stand.pipeline._database).entries(state=State.PENDING) == []


def test_in_a_storm_what_matters_least_gives_way(tmp_path, monkeypatch):
    monkeypatch.setattr("alerts.outbox.MAX_PENDING", 20)
    stand = Stand(tmp_path)
    stand.answers["oncall"] = lambda _: NO
    stand.pipeline.accept([alert(replica=f"bad-{n}", incident=n) for n in range(15)])
    stand.run(5)
    stand.pipeline.accept(
        [alert("ReplicaDegraded", replica=f"slow-{n}", incident=n) for n in range(15)]
    )
    stand.run(700, step_s=5)

    waiting = stand.pipeline.desk.outbox(State.PENDING)
    assert len(waiting) == 20
    assert sum(entry.message.alerts[0].name == "ReplicaHung" for entry in waiting) == 15
    assert len(stand.pipeline.desk.outbox(State.EXPIRED)) == 10


def test_what_a_later_version_wrote_about_a_conversation_is_still_understood(tmp_path):
    stand = Stand(tmp_path)
    stand.pipeline.accept([alert()])
    stand.run(5)
    stand.pipeline.stop(1)
    database = Database(tmp_path / "journal.db")
    database.write(
        lambda connection: connection.execute(
            "UPDATE alert_state SET body = json_set(body, '$.invented_later', 1)"
        )
    )
    database.close()
    stand.open()
    stand.run(30)

    assert stand.delivered() == [FIRING]
