"""What happened on a ground since a moment: incidents, restarts, messages."""

from __future__ import annotations

import time
from typing import Any

from monitor.journal import JournalError, read_incidents
from tests.e2e.stack import Received
from tests.faults.ground import Ground


class Course:
    """Everything before it began is left out. `slack`: by what factor times may be late."""

    def __init__(self, on: Ground, slack: float = 1.0) -> None:
        self.on = on
        self.slack = slack
        self.began = time.time()
        self.known = {one["id"] for one in self._journal()}
        self.replicas = {m.id: m for m in on.stack.manifests()}
        in_use = {m.gpu_uuid for m in self.replicas.values() if m.gpu_uuid is not None}
        self._scars = on.scarred - in_use
        on.scarred |= in_use
        self.hurt_at = time.monotonic()
        self.watchdog_mb = on.watchdog_mb()
        self.figures = on.figures = {}

    def incidents(self) -> list[dict[str, Any]]:
        """New ones, oldest first, from the journal: it is there when the watchdog is not."""
        return [one for one in self._journal() if self._is_news(one)]

    def names(self) -> set[str]:
        return {one["name"] for one in self.incidents()}

    def firing(self) -> list[dict[str, Any]]:
        """New ones that are open now, as `/status` shows them."""
        return [
            one
            for one in self.on.status()["incidents"]
            if one["status"] == "firing" and self._is_news(one)
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

    def _is_news(self, incident: dict[str, Any]) -> bool:
        old_scar = incident["replica"] is None and incident["gpu_uuid"] in self._scars
        return incident["id"] not in self.known and not old_scar

    def _journal(self) -> list[dict[str, Any]]:
        try:
            return list(read_incidents(self.on.stack.state_dir / "journal.db"))
        except JournalError:
            return []
