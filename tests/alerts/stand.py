"""A whole pipeline on a real database and a hand-moved clock, without threads."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from alerts.message import Message, Outcome, Verdict
from alerts.pipeline import Pipeline
from alerts.senders.memory import MemorySender
from alerts.settings import AlertSettings
from tests.alerts.make import Clock

YES = Outcome(Verdict.DELIVERED, "yes")
NO = Outcome(Verdict.RETRY, "no")
BAD = Outcome(Verdict.REFUSED, "bad")

Answer = Callable[[Message], Outcome]


class Stand:
    """Receivers are named; `answers` says what each try at one comes to, and may be changed."""

    def __init__(self, folder: Path, *names: str, clock: Clock | None = None, **more: Any) -> None:
        self.folder = folder
        self.clock = clock or Clock()
        self.answers: dict[str, Answer] = {}
        self.senders: dict[str, MemorySender] = {}
        receivers = [{"name": name, "type": "memory"} for name in names or ("oncall",)]
        for receiver in receivers:
            receiver.update(more.pop(receiver["name"], {}))
        more.setdefault("timezone", "UTC")
        self.settings = AlertSettings.model_validate({"receivers": receivers, **more})
        self.open()

    def open(self) -> None:
        self.pipeline = Pipeline(
            self.settings,
            self.folder / "journal.db",
            host="gpu-1",
            clock=self.clock,
            jitter=lambda: 1.0,
            make_sender=self._make,
        )

    def _make(self, receiver: Any, settings: Any, clock: Any) -> MemorySender:
        name = receiver.name
        kept = self.senders.get(name)
        if kept is None:
            kept = MemorySender(lambda m: self.answers.get(name, lambda _: YES)(m))  # noqa: PLW0108 looked up at each try
            self.senders[name] = kept
        return kept

    def restart(self) -> None:
        self.pipeline.stop(1.0)
        self.open()

    def run(self, seconds: float = 0.0, step_s: float = 1.0) -> None:
        """Let time pass; plan and deliver whatever is due at every step."""
        until = self.clock.now + seconds
        while True:
            while self.pipeline.plan_once() or self.pipeline.deliver_once():
                pass
            if self.clock.now >= until:
                return
            self.clock.pass_s(min(step_s, until - self.clock.now))

    def delivered(self, name: str = "oncall") -> list[tuple[str, str]]:
        """(status, name of the first alert) of what arrived."""
        return [(m.status.value, m.alerts[0].name) for m in self.senders[name].delivered]
