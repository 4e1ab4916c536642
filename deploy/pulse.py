"""Whether a process that is there also answers: one that hangs ends for nobody's waitpid."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import requests

ASK_EVERY_S = 3.0
_ASK_S = 2.0
MISSES = 5
"""In a row. Counted, not timed: after a pause of the whole host the first miss is one miss."""


@dataclass(slots=True)
class Pulse:
    """Asked now and then; lost after some misses in a row, and never before the first answer.

    Attributes:
        answers: asks once, within its own limit.
    """

    answers: Callable[[], bool]
    misses: int = 0
    has_answered: bool = False
    next_ask: float = 0.0

    def is_lost(self, now: float) -> bool:
        """Ask when it is time; whether the process is to be taken for hung.

        Args:
            now: monotonic seconds.
        """
        if now < self.next_ask:
            return False
        self.next_ask = now + ASK_EVERY_S
        if self.answers():
            self.has_answered, self.misses = True, 0
            return False
        self.misses += self.has_answered
        return self.misses >= MISSES

    def begin(self) -> None:
        """A new process: it may take its time to start."""
        self.has_answered, self.misses = False, 0


def asking(url: str, limit_s: float = _ASK_S) -> Callable[[], bool]:
    """Asks `/livez` of one of our processes.

    Args:
        url: its base URL.
    """
    session = requests.Session()
    session.trust_env = False  # a process of ours: no proxy

    def answers() -> bool:
        try:
            return session.get(f"{url}/livez", timeout=limit_s).ok
        except requests.RequestException:
            return False

    return answers
