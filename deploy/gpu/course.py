"""Runs parts one after the other; whatever one does, the others go on and the file is written."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from deploy.gpu.part import Book, Failed, Part, Skip, State


@dataclass(frozen=True, slots=True)
class Step:
    """One part before it is run.

    Attributes:
        does: in words, for a dry run: what will be started, taken and stopped.
    """

    name: str
    does: str
    run: Callable[[], Part]


def describe(steps: Sequence[Step], say: Callable[[str], None]) -> None:
    """What a run would do."""
    for step in steps:
        say(f"{step.name}: {step.does}")


def go(steps: Sequence[Step], book: Book, say: Callable[[str], None]) -> bool:
    """Run them; True when nothing failed. Ctrl-C ends the run and keeps what there is."""
    for step in steps:
        say(f"{step.name}: {step.does}")
        began = time.monotonic()
        try:
            part = _tried(step)
        except KeyboardInterrupt:
            took_s = time.monotonic() - began
            book.add(Part(step.name, State.INTERRUPTED, "interrupted", took_s=took_s))
            say("interrupted; what was measured until now is kept")
            return False
        part = replace(part, took_s=time.monotonic() - began)
        book.add(part)
        say(f"{step.name}: {part.state.value}{f' ({part.why})' if part.why else ''}")
        for name, value in part.numbers.items():
            say(f"    {name} {value}")
    book.write(partial=False)
    return book.ok


def _tried(step: Step) -> Part:
    try:
        return step.run()
    except Skip as skip:
        return Part(step.name, State.SKIPPED, str(skip))
    except Failed as failed:
        return Part(step.name, State.FAILED, str(failed), failed.numbers, failed.rows)
    except Exception as error:  # noqa: BLE001 - the one place: the other parts go on
        traceback.print_exc()
        return Part(step.name, State.FAILED, f"{type(error).__name__}: {error}")
