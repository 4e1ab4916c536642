"""A receiver that posts one JSON body for each message; what differs is the vendor's `Dialect`."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Protocol

from alerts.http import Answer, HttpClient
from alerts.message import Message, Outcome, Verdict
from alerts.senders.post import post
from alerts.words import Author, Story

NOTHING_TO_TELL = Outcome(Verdict.DELIVERED, "this receiver has no such message")


class Dialect(Protocol):
    """A vendor's format. PURE: no I/O; the time is given."""

    def body(self, story: Story, message: Message, now: float) -> dict[str, object] | None:
        """The JSON body within the vendor's limits; None when it has no such message."""
        ...

    def address(self, url: str, now: float) -> str:
        """The URL to post to, with whatever the vendor wants in it."""
        ...

    def read(self, answer: Answer) -> Outcome | None:
        """The vendor's own word on success; None leaves it to the HTTP status."""
        ...


class ChatSender:
    """Posts stories to one URL."""

    def __init__(
        self,
        url: str,
        dialect: Dialect,
        author: Author,
        http: HttpClient,
        clock: Callable[[], float],
        *,
        hide: tuple[str, ...] = (),
    ) -> None:
        self._url = url
        self._dialect = dialect
        self._author = author
        self._http = http
        self._clock = clock
        self._hide = (*hide, url)

    def send(self, message: Message) -> Outcome:
        now = self._clock()
        body = self._dialect.body(self._author.write(message), message, now)
        if body is None:
            return NOTHING_TO_TELL
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "User-Agent": "rankguard",
            "Idempotency-Key": message.key,
        }
        return post(
            self._http,
            self._dialect.address(self._url, now),
            encode(body),
            headers,
            read=self._dialect.read,
            hide=self._hide,
        )

    def close(self) -> None:
        """Nothing is kept open between messages."""


def encode(body: object) -> bytes:
    """JSON as UTF-8. Lone surrogates, which UTF-8 has no form for, become question marks."""
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
