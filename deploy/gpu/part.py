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
    earlier: dict[str, dict[str, object]] = field(default_factory=dict)

    def go_on(self) -> None:
        """Keep what an earlier run left in the file, for parts that are not run again.

        Raises:
            Skip: that run was on other cards, or the file is none of ours.
        """
        if not self.path.is_file():
            return
        try:
            body = json.loads(self.path.read_text(encoding="utf-8"))
            same = body["run"]["device"] == self.run["device"]
            self.earlier = dict(body["parts"])
        except (ValueError, KeyError, TypeError) as error:
            raise Skip(f"{self.path} holds no earlier run: {error!r}") from error
        if not same:
            raise Skip(f"{self.path} is of other cards; give another file with -o")

    def add(self, part: Part) -> None:
        self.parts.append(part)
        self.write(partial=True)

    def write(self, *, partial: bool) -> None:
        """Replace the file; a reader never sees half of one."""
        body = {
            "run": self.run,
            "partial": partial,
            "ok": self.ok,
            "parts": {**self.earlier, **{part.name: _body(part) for part in self.parts}},
        }
        self.path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self.path.with_suffix(f".{os.getpid()}.new")
        temporary.write_text(json.dumps(body, indent=1) + "\n", encoding="utf-8")
        temporary.replace(self.path)

    @property
    def ok(self) -> bool:
        states = {name: part["state"] for name, part in self.earlier.items()}
        states |= {part.name: part.state.value for part in self.parts}
        return not {State.FAILED.value, State.INTERRUPTED.value} & set(states.values())


def _body(part: Part) -> dict[str, object]:
    body = asdict(part)
    del body["name"]
    return body | {"state": part.state.value, "took_s": round(part.took_s, 2)}
