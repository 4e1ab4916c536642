"""One part of a run: what was found, in numbers and rows; and the file that they all go into."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import Enum
from pathlib import Path

Value = float | int | str | bool | None
Cells = Mapping[str, Value]


class State(str, Enum):
    """How a part ended."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True, slots=True)
class Part:
    """One part.

    Attributes:
        why: of a failure or of what was left out; empty when all is well.
        numbers: what was measured; the unit is in the name.
        rows: tables, by name.
    """

    name: str
    state: State
    why: str = ""
    numbers: Cells = field(default_factory=dict)
    rows: Mapping[str, Sequence[Cells]] = field(default_factory=dict)
    took_s: float = 0.0


class Skip(Exception):
    """A part cannot run here; says why."""


class Failed(Exception):
    """A part found what must not be; carries what was measured until then."""

    def __init__(
        self,
        why: str,
        numbers: Cells | None = None,
        rows: Mapping[str, Sequence[Cells]] | None = None,
    ) -> None:
        super().__init__(why)
        self.numbers = dict(numbers or {})
        self.rows = dict(rows or {})


@dataclass(slots=True)
class Book:
    """All parts of a run so far; written anew after each, so that an interrupted run leaves one."""

    path: Path
    run: dict[str, object]
    parts: list[Part] = field(default_factory=list)

    def add(self, part: Part) -> None:
        self.parts.append(part)
        self.write(partial=True)

    def write(self, *, partial: bool) -> None:
        """Replace the file; a reader never sees half of one."""
        body = {
            "run": self.run,
            "partial": partial,
            "ok": self.ok,
            "parts": {part.name: _body(part) for part in self.parts},
        }
        self.path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self.path.with_suffix(f".{os.getpid()}.new")
        temporary.write_text(json.dumps(body, indent=1) + "\n", encoding="utf-8")
        temporary.replace(self.path)

    @property
    def ok(self) -> bool:
        return not any(part.state in {State.FAILED, State.INTERRUPTED} for part in self.parts)


def _body(part: Part) -> dict[str, object]:
    body = asdict(part)
    del body["name"]
    return body | {"state": part.state.value, "took_s": round(part.took_s, 2)}
