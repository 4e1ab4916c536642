"""Everything else, through Apprise. It may report success where a vendor hides a failure."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any, Protocol

from alerts.message import Message, Outcome, Verdict
from alerts.sender import ReceiverError
from alerts.senders.tone import as_text, headline
from alerts.words import Author

TYPES = {"critical": "failure", "warning": "warning", "resolved": "success"}
"""Tone -> Apprise's notification type; all others are info."""


class Notifier(Protocol):
    """What we use of an `apprise.Apprise`."""

    def notify(self, *, title: str, body: str, notify_type: str) -> object: ...


class AppriseMissing(ReceiverError):
    """The package is not installed, or it knows none of the URLs."""


class AppriseSender:
    """Hands stories to Apprise in a thread of its own, which a hanging service cannot hold up."""

    def __init__(self, notifier: Notifier, author: Author, timeout_s: float) -> None:
        self._notifier = notifier
        self._author = author
        self._timeout_s = timeout_s
        self._running: threading.Thread | None = None

    def send(self, message: Message) -> Outcome:
        if self._running is not None and self._running.is_alive():
            return Outcome(Verdict.RETRY, "an earlier message is still being sent")
        story = self._author.write(message)
        result: list[object] = []

        def work() -> None:
            result.append(
                self._notifier.notify(
                    title=headline(story),
                    body=as_text(story),
                    notify_type=TYPES.get(story.tone, "info"),
                )
            )

        self._running = threading.Thread(target=work, name="alerts-apprise", daemon=True)
        self._running.start()
        self._running.join(self._timeout_s)
        if not result:
            return Outcome(Verdict.RETRY, f"no answer within {self._timeout_s:g} s, or a failure")
        if result[0]:
            return Outcome(Verdict.DELIVERED, "Apprise reports success")
        return Outcome(Verdict.RETRY, "Apprise reports a failure")

    def close(self) -> None:
        """The thread, if one hangs, is a daemon and ends with the process."""


def make_notifier(urls: Sequence[str]) -> Notifier:
    """An `apprise.Apprise` for the URLs.

    Raises:
        AppriseMissing: see there. Shows no URL: they hold secrets.
    """
    try:
        import apprise  # noqa: PLC0415 an optional package
    except ImportError:
        raise AppriseMissing(
            "the receiver needs the package: pip install rankguard[apprise]"
        ) from None
    notifier: Any = apprise.Apprise()
    for number, url in enumerate(urls, start=1):
        if not notifier.add(url):
            raise AppriseMissing(f"Apprise does not know the URL in line {number}")
    made: Notifier = notifier
    return made
