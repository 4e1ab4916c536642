"""What the command shows: progress, the gate's table, where an upgrade stands."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.status import Status
from rich.table import Table
from rich.text import Text

from deploy.upgrade.record import Record
from deploy.upgrade.standing import Standing
from deploy.upgrade.verdict import Verdict


class Screen:
    """Says what happens, on stderr: in place on a terminal, a line for each step elsewhere."""

    def __init__(self, *, quiet: bool) -> None:
        """Quiet: for machines; nothing but the result is printed."""
        self._quiet = quiet
        self._console = Console(stderr=True)
        self._status: Status | None = None
        self._said = ""

    @contextmanager
    def busy(self) -> Iterator[None]:
        """While something goes on."""
        if self._quiet or not self._console.is_terminal:
            yield
            return
        with self._console.status("upgrade") as status:
            self._status = status
            try:
                yield
            finally:
                self._status = None

    def step(self, text: str) -> None:
        """How far it is; what stands before the colon names the step."""
        if self._status is not None:
            self._status.update(text)
            return
        step = text.partition(":")[0]
        if step != self._said and not self._quiet:
            print(text, file=sys.stderr, flush=True)
        self._said = step

    def verdict(self, verdict: Verdict) -> None:
        if not self._quiet:
            show_verdict(verdict)


def show_verdict(verdict: Verdict) -> None:
    """The table and the decision."""
    table = Table(box=None, pad_edge=False)
    for name in ("check", "old", "new", "limit", ""):
        table.add_column(name, overflow="fold")
    for check in verdict.checks:
        word = Text("ok", style="green") if check.passed else Text("NO", style="bold red")
        table.add_row(check.name, check.old or "-", check.new or "-", check.limit, word)
    console = Console()
    console.print(table)
    style = "green" if verdict.passed else "bold red"
    reason = verdict.reason.value.replace("_", " ")
    console.print(Text.assemble("decision: ", (verdict.decision.value, style), f" ({reason})"))


def show_standing(found: Record | None, at: Standing, rollout: str) -> None:
    """Where the newest upgrade stands, and what can be done."""
    if found is None:
        print(at.words)
        return
    since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(found.at))
    what = f"takes back {found.undoes}" if found.undoes else _change(found)
    print(f"upgrade {found.id} ({since}): {what}")
    print(f"  {at.stand.value}: {at.words}")
    if found.reason:
        print(f"  reason: {found.reason}")
    if rollout:
        print(f"  watchdog: {rollout}")
    for option, does in (("--resume", at.resume), ("--rollback", at.rollback)):
        if does:
            print(f"  rankguard upgrade {option}: {does}")


def to_json(found: Record | None, at: Standing) -> dict[str, Any]:
    """What `--json` prints."""
    body: dict[str, Any] = {
        "stand": at.stand.value,
        "words": at.words,
        "resume": at.resume,
        "rollback": at.rollback,
    }
    if found is None:
        return {"id": None, **body}
    kept = asdict(found)
    for name in ("pid", "started_ticks", "boot_id"):
        kept.pop(name)
    return {**kept, "phase": found.phase.value, "checks": list(found.checks), **body}


def _change(found: Record) -> str:
    old, new = found.old, found.new
    if not new:
        return "a new version"
    return f"{old.get('engine') or '-'} {old.get('model', '')} -> {new['engine']} {new['model']}"
