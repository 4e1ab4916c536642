"""What the pipeline asks of a receiver."""

from __future__ import annotations

from typing import Protocol

from alerts.message import Message, Outcome


class ReceiverError(Exception):
    """A receiver cannot be set up. Names the file or the package, and shows no secret."""


class Sender(Protocol):
    """One receiver. Used by one thread at a time."""

    def send(self, message: Message) -> Outcome:
        """Try once, within the receiver's own time limit. Does not raise."""
        ...

    def close(self) -> None: ...
