"""Journal first, then the sink: a crash in between loses nothing and doubles nothing."""

from __future__ import annotations

import pytest

from alerts.model import Severity
from monitor.casebook import Casebook
from monitor.journal import Journal, read_recent
from monitor.model import Moment
from tests.monitor.fakes import FakeSink


@pytest.fixture
def journal(tmp_path):
    made = Journal(tmp_path / "journal.db")
    yield made
    made.close()


@pytest.fixture
def sink():
    return FakeSink()


def opened(casebook, at=100.0, name="ReplicaDead"):
    return casebook.open(
        name,
        Moment(at, at),
        severity=Severity.WARNING,
        reason="killed_by_signal",
        summary="replica-0: killed",
        replica="replica-0",
    )


def test_opening_twice_is_one_incident(journal, sink):
    casebook = Casebook(journal, sink, "host")

    assert opened(casebook).id == opened(casebook).id
    casebook.flush()
    assert sink.order == [("ReplicaDead", "firing")]


def test_the_first_alert_tells_of_what_was_done_by_then(journal, sink):
    casebook = Casebook(journal, sink, "host")
    opened(casebook)
    casebook.note("started generation 2", replica="replica-0")
    casebook.flush()

    assert next(iter(sink.alerts.values())).action == "started generation 2"


def test_a_crash_before_the_sink_heard_is_made_good(journal, sink):
    opened(Casebook(journal, FakeSink(), "host"))  # journaled, and never flushed

    successor = Casebook(journal, sink, "host")
    successor.flush()
    successor.flush()

    assert sink.order == [("ReplicaDead", "firing")]


def test_a_crash_between_sink_and_confirmation_repeats_the_same_id(journal, sink, monkeypatch):
    casebook = Casebook(journal, sink, "host")
    opened(casebook)
    monkeypatch.setattr(journal, "mark_told", lambda *_: None)  # it dies right here
    casebook.flush()
    monkeypatch.undo()

    Casebook(journal, sink, "host").flush()

    assert len(sink.alerts) == 1
    assert sink.order == [("ReplicaDead", "firing")]


def test_what_was_opened_and_over_before_anybody_heard_is_told_in_order(journal, sink):
    casebook = Casebook(journal, FakeSink(), "host")
    opened(casebook)
    casebook.close(Moment(107.0, 107.0), replica="replica-0")

    Casebook(journal, sink, "host").flush()

    assert sink.order == [("ReplicaDead", "firing"), ("ReplicaDead", "resolved")]
    resolved = next(one for one in sink.alerts.values() if one.status.value == "resolved")
    assert resolved.ended_at == 107.0


def test_an_incident_never_ends_before_it_began(journal, sink, tmp_path):
    casebook = Casebook(journal, sink, "host")
    opened(casebook, at=1000.0)
    casebook.close(Moment(1001.0, 400.0), replica="replica-0")  # the clock was set back

    assert read_recent(tmp_path / "journal.db", 1)[0][0].recovered_s == 0.0
