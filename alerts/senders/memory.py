"""A receiver that keeps what it gets: for tests and demonstrations."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from alerts.message import Message, Outcome, Verdict

DELIVERED = Outcome(Verdict.DELIVERED, "kept")


class MemorySender:
    """Keeps the last `limit` messages; `answer` decides what each try comes to."""

    def __init__(
        self, answer: Callable[[Message], Outcome] = lambda _: DELIVERED, limit: int = 100_000
    ) -> None:
        self._answer = answer
        self.tried: deque[Message] = deque(maxlen=limit)
        self.delivered: deque[Message] = deque(maxlen=limit)

    def send(self, message: Message) -> Outcome:
        self.tried.append(message)
        outcome = self._answer(message)
        if outcome.verdict is Verdict.DELIVERED:
            self.delivered.append(message)
        return outcome

    def close(self) -> None:
        """Nothing to close."""
