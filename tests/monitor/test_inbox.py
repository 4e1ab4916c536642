"""The inbox when the loop is too far behind: what comes again may go, what comes once may not."""

from __future__ import annotations

import threading

import pytest

from monitor.gpu import GpuRound, XidEvent
from monitor.inbox import CardsSeen, HostSeen, Inbox, KernelSeen, LoadSeen, ProgressSeen
from monitor.model import Unavailable, Why
from tests.waiting import until

PROGRESS = ProgressSeen("replica-0", 1, Unavailable(Why.TIMED_OUT), 0.0, 1.0)
XID = KernelSeen(XidEvent(1.0, "0000:04:00", 119, "kmsg"))
CARDS = CardsSeen(GpuRound(1.0, "580"))


def full(size=3):
    inbox = Inbox(size)
    for _ in range(size):
        inbox.post(PROGRESS)
    inbox.wait(0)
    return inbox


@pytest.mark.parametrize("message", [PROGRESS, LoadSeen(None)], ids=["progress", "load"])
def test_what_comes_again_soon_is_dropped_and_counted(message):
    inbox = full()

    inbox.post(message)

    assert inbox.dropped == 1


@pytest.mark.parametrize("message", [XID, CARDS], ids=["an XID", "a look at the cards"])
def test_what_comes_once_waits_for_room_and_wakes_the_loop(message):
    inbox = full()
    poster = threading.Thread(target=inbox.post, args=[message], daemon=True)
    poster.start()
    until("the loop is woken", inbox.is_woken, 5)

    found = inbox.take()
    poster.join(5)

    assert [*found, *inbox.take()][-1] == message
    assert inbox.dropped == 0


def test_no_wait_is_endless():
    inbox = Inbox(1, patience_s=0.05)
    inbox.post(PROGRESS)

    inbox.post(XID)

    assert inbox.dropped == 1


def test_a_look_at_the_host_does_not_wake_the_loop():
    inbox = Inbox()
    inbox.post(HostSeen(None))

    assert not inbox.is_woken()
