"""What happened on a ground since a moment: incidents, restarts, messages."""

from __future__ import annotations

import time
from typing import Any

from monitor.journal import JournalError, read_incidents
from tests.e2e.stack import Received
from tests.faults.ground import Ground


class Course:
    """Everything before it began is left out."""

    def __init__(self, on: Ground) -> None:
        self.on = on
        self.began = time.time()
        self.known = {one["id"] for one in self._journal()}
        self.replicas = {m.id: m for m in on.stack.manifests()}
        self.hurt_at = time.monotonic()
        self.watchdog_mb = on.watchdog_mb()
        self.figures = on.figures = {}

    def incidents(self) -> list[dict[str, Any]]:
        """New ones, oldest first, from the journal: it is there when the watchdog is not."""
        return [one for one in self._journal() if one["id"] not in self.known]

    def names(self) -> set[str]:
        return {one["name"] for one in self.incidents()}

    def firing(self) -> list[dict[str, Any]]:
        """New ones that are open now, as `/status` shows them."""
        return [
            one
            for one in self.on.status()["incidents"]
            if one["status"] == "firing" and one["id"] not in self.known
        ]

    def restarts(self) -> dict[str, int]:
        """How many generations each replica went on; those that did not are left out."""
        now = {m.id: m.generation for m in self.on.stack.manifests()}
        return {
            name: now[name] - before.generation
            for name, before in self.replicas.items()
            if now.get(name, before.generation) != before.generation
        }

    def messages(self) -> list[Received]:
        """What the receiver got about new incidents."""
        mine = {str(one["id"]) for one in self.incidents()}
        return [
            one
            for one in list(self.on.webhook.received)
            if any(alert["annotations"].get("incident") in mine for alert in one.body["alerts"])
        ]

    def pages(self) -> set[str]:
        """The conversations in which something critical was told."""
        return {
            one.body["groupKey"]
            for one in self.messages()
            if one.status == "firing"
            and any(alert["labels"]["severity"] == "critical" for alert in one.body["alerts"])
        }

    def _journal(self) -> list[dict[str, Any]]:
        try:
            return list(read_incidents(self.on.stack.state_dir / "journal.db"))
        except JournalError:
            return []
