"""Apprise: with the real package where it is installed, and a stand-in for what it may do."""

from __future__ import annotations

import threading

import pytest

from alerts.message import Verdict
from alerts.phrases import phrases_of
from alerts.sender import ReceiverError
from alerts.senders.apprise import AppriseSender, make_notifier
from alerts.words import Author, Links
from alerts.zone import zone_of
from tests.alerts.examples import ENDED, FIRING
from tests.alerts.vendor import Reply, playing

AUTHOR = Author(phrases_of("en", {}), Links(), zone_of("UTC"))


class Notifier:
    def __init__(self, result: object = True) -> None:
        self.result = result
        self.got: list[dict[str, str]] = []
        self.release = threading.Event()
        self.release.set()

    def notify(self, **message: str) -> object:
        self.release.wait(10)
        self.got.append(message)
        return self.result


def test_a_story_is_handed_over_with_its_type():
    notifier = Notifier()
    sender = AppriseSender(notifier, AUTHOR, 5)

    assert sender.send(FIRING).verdict is Verdict.DELIVERED
    assert sender.send(ENDED).verdict is Verdict.DELIVERED
    assert [each["notify_type"] for each in notifier.got] == ["failure", "success"]
    assert "no progress" in notifier.got[0]["body"]


def test_a_failure_is_tried_again():
    assert AppriseSender(Notifier(False), AUTHOR, 5).send(FIRING).verdict is Verdict.RETRY


def test_a_service_that_hangs_does_not_pile_up_threads():
    notifier = Notifier()
    notifier.release.clear()
    sender = AppriseSender(notifier, AUTHOR, 0.05)

    first, second = sender.send(FIRING), sender.send(FIRING)
    notifier.release.set()

    assert first.verdict is second.verdict is Verdict.RETRY
    assert "still being sent" in second.detail


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of its own imports
def test_the_real_package_delivers_to_a_json_service():
    pytest.importorskip("apprise", reason="the extra `apprise` is not installed")
    with playing(Reply(200)) as vendor:
        notifier = make_notifier([f"json://127.0.0.1:{vendor.port}/hook"])
        outcome = AppriseSender(notifier, AUTHOR, 20).send(FIRING)

        assert outcome.verdict is Verdict.DELIVERED
        assert "CRITICAL" in vendor.got[0].json["title"]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of its own imports
def test_a_url_that_apprise_does_not_know_is_named_by_its_line():
    pytest.importorskip("apprise", reason="the extra `apprise` is not installed")
    with pytest.raises(ReceiverError, match="line 2") as caught:
        make_notifier(["json://127.0.0.1/", "nonsense://secret-token"])

    assert "secret-token" not in str(caught.value)
