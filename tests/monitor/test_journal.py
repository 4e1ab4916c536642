from __future__ import annotations

import signal
import subprocess
import sys
from dataclasses import replace

import pytest

from alerts.model import Severity, Status
from monitor.incident import Incident, to_alert
from monitor.journal import (
    Journal,
    JournalError,
    Transition,
    read_incidents,
    read_recent,
)

INCIDENT = Incident(
    id=1,
    name="ReplicaHung",
    severity=Severity.WARNING,
    started_at=100.0,
    reason="no_progress",
    summary="replica-0: no progress",
    detected_s=3.2,
    replica="replica-0",
    actions=("killed generation 1",),
    evidence={"in_flight": "8 documents"},
)
RESOLVED = replace(INCIDENT, resolved_at=110.0, recovered_s=10.0)


@pytest.fixture
def journal(tmp_path):
    journal = Journal(tmp_path / "journal.db")
    yield journal
    journal.close()


def test_an_incident_reads_back_as_it_was_written(journal, tmp_path):
    journal.save_incident(INCIDENT)
    assert journal.open_incidents() == [INCIDENT]

    journal.save_incident(RESOLVED)

    assert journal.open_incidents() == []
    assert read_recent(tmp_path / "journal.db", 10)[0] == [RESOLVED]


def test_commands_read_incidents_beside_the_writer_and_after_it(journal, tmp_path):
    journal.save_incident(RESOLVED)
    beside = read_incidents(tmp_path / "journal.db")
    journal.close()
    after = read_incidents(tmp_path / "journal.db")

    assert beside == after
    wanted = {
        "id",
        "name",
        "severity",
        "status",
        "started_at",
        "detected_s",
        "resolved_at",
        "recovered_s",
        "reason",
        "replica",
        "gpu_uuid",
        "actions",
    }
    assert wanted <= set(beside[0])
    assert beside[0]["status"] == "resolved"
    assert beside[0]["actions"] == ["killed generation 1"]


def test_no_journal_is_told_in_words(tmp_path):
    with pytest.raises(JournalError, match="no journal"):
        read_incidents(tmp_path / "journal.db")


def test_a_file_that_is_no_journal_is_told_in_words(tmp_path):
    (tmp_path / "journal.db").write_text("this is no database, and it is long enough to see" * 9)

    with pytest.raises(JournalError):
        read_incidents(tmp_path / "journal.db")
    with pytest.raises(JournalError):
        Journal(tmp_path / "journal.db")


def test_what_the_sink_has_not_taken_is_found_again(journal):
    journal.save_incident(INCIDENT)
    assert journal.untold() == [INCIDENT]

    journal.mark_told(1, Status.FIRING.value)
    assert journal.untold() == []

    journal.save_incident(RESOLVED)
    assert journal.untold() == [RESOLVED]
    assert journal.was_told_firing(1)


def test_an_alert_has_the_same_id_however_often_it_is_made():
    assert to_alert(INCIDENT, "h").id == to_alert(INCIDENT, "h").id
    assert to_alert(INCIDENT, "h").id != to_alert(RESOLVED, "h").id
    assert to_alert(INCIDENT, "h").fingerprint == to_alert(RESOLVED, "h").fingerprint


def test_incident_ids_grow_even_after_pruning(journal, tmp_path):
    journal.save_incident(RESOLVED)
    journal.mark_told(1, Status.RESOLVED.value)
    journal.prune(before=1000.0)

    assert read_recent(tmp_path / "journal.db", 10)[0] == []
    assert journal.next_incident_id() == 2


def test_a_baseline_is_recorded_once(journal):
    journal.save_baseline("f", {"zh": (1.0, -1.0)}, 1.0)
    journal.save_baseline("f", {"zh": (5.0, -5.0)}, 2.0)

    assert journal.baselines() == {"f": {"zh": (1.0, -1.0)}}


_WRITER = """
import sys
from pathlib import Path
from monitor.journal import Journal, Transition
journal = Journal(Path(sys.argv[1]))
number = 0
while True:
    number += 1
    journal.record(Transition(float(number), "replica-0", "a", "b", "restart", number))
    print(number, flush=True)
"""


def test_what_was_recorded_survives_a_kill_in_mid_write(tmp_path):
    path = tmp_path / "journal.db"
    writer = subprocess.Popen(
        [sys.executable, "-c", _WRITER, str(path)], stdout=subprocess.PIPE, text=True
    )
    confirmed = 0
    for line in writer.stdout:
        confirmed = int(line)
        if confirmed >= 200:
            break
    writer.send_signal(signal.SIGKILL)
    writer.wait(5)
    rest = writer.stdout.read().split("\n")
    writer.stdout.close()
    confirmed = max([confirmed, *(int(word) for word in rest[:-1] if word)])

    found = read_recent(path, 100_000)[1]

    assert [one.generation for one in reversed(found)] == list(range(1, len(found) + 1))
    assert len(found) >= confirmed
    with_new_writer = Journal(path)
    with_new_writer.record(Transition(0.0, "replica-0", "a", "b", "restart"))
    with_new_writer.close()
