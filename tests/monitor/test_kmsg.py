"""The kernel's records; a named pipe stands in for /dev/kmsg."""

from __future__ import annotations

import os

import pytest

from monitor.collectors.kmsg import KmsgReader, OomKill, event_of, parse_record
from monitor.gpu import XidEvent
from tests.waiting import until

XID = b"4,1000,555,-;NVRM: Xid (PCI:0000:04:00): 79, pid=1, name=x\n SUBSYSTEM=pci\n"


def test_a_record_of_the_kernels_is_believed():
    event = event_of(parse_record(XID), 5.0)

    assert isinstance(event, XidEvent)
    assert (event.xid, event.pci_bus_id, event.source, event.at) == (79, "0000:04:00", "kmsg", 5.0)


def test_a_record_that_a_process_wrote_is_not():
    written = b"12,1001,556,-;NVRM: Xid (PCI:0000:04:00): 79, pid=1, name=x\n"

    assert event_of(parse_record(written), 5.0) is None


def test_a_card_off_the_bus_without_an_xid_counts_as_one():
    record = parse_record(b"4,1,2,-;NVRM: GPU 0000:04:00.0: GPU has fallen off the bus.\n")

    assert event_of(record, 5.0).xid == 79


@pytest.mark.parametrize(
    "text",
    [
        b"3,7,8,-;Out of memory: Killed process 4242 (python3) total-vm:1kB\n",
        b"3,7,8,-;Memory cgroup out of memory: Killed process 4242 (python3)\n",
    ],
)
def test_a_kill_for_memory_is_told(text):
    event = event_of(parse_record(text), 5.0)

    assert isinstance(event, OomKill)
    assert event.pid == 4242


@pytest.mark.parametrize("raw", [b"", b"nonsense", b"x,y,z;text", b"4,1;short", b"\xff\xfe;x"])
def test_what_is_no_record_is_none(raw):
    assert parse_record(raw) is None


class Pipe:
    """A pipe in packet mode gives one record a read, as the kernel does."""

    def __init__(self):
        self.reading, self.writing = os.pipe2(os.O_DIRECT | os.O_NONBLOCK)
        self.path = f"/proc/self/fd/{self.reading}"

    def close(self):
        os.close(self.reading)
        os.close(self.writing)


@pytest.fixture
def reader():
    pipe = Pipe()
    events = []
    made = KmsgReader(events.append, after=999, path=pipe.path)
    made._descriptor = os.dup(pipe.reading)
    made._thread.start()
    yield made, pipe, events
    made.stop()
    pipe.close()


def test_only_what_is_new_is_posted_and_the_place_is_kept(reader):
    made, pipe, events = reader
    os.write(pipe.writing, XID.replace(b"1000", b"998"))
    os.write(pipe.writing, b"6,1001,1,-;eth0: link up\n")
    os.write(pipe.writing, XID.replace(b"1000", b"1002"))

    until("the event comes", lambda: events, 5)

    until("the place moves", lambda: made.cursor == 1002, 5)
    assert [event.xid for event in events] == [79]
    assert len(made.recent()) == 2


def test_the_place_is_never_ahead_of_what_was_posted(reader):
    """A watchdog killed in between would never hear of the event again."""
    made, pipe, _ = reader
    seen = []
    made._post = lambda event: seen.append((event.xid, made.cursor))
    os.write(pipe.writing, XID)

    until("the event comes", lambda: seen, 5)

    assert seen == [(79, 999)]
    until("the place moves", lambda: made.cursor == 1000, 5)


def test_a_storm_is_read_to_its_end(reader):
    made, pipe, events = reader
    for sequence in range(1000, 3000):
        record = XID.replace(b"1000", str(sequence).encode())
        until("there is room", lambda r=record: _wrote(pipe.writing, r), 5)

    until("all are read", lambda: made.cursor == 2999, 5)
    assert len(events) == 2000


def _wrote(descriptor, record):
    try:
        return os.write(descriptor, record)
    except BlockingIOError:
        return 0


def test_a_log_that_cannot_be_read_is_no_error(tmp_path):
    made = KmsgReader(lambda _: None, after=None, path=tmp_path / "nothing")

    assert not made.start()
    made.stop()
