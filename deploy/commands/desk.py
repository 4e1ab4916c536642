"""What the alert commands share: the tables that they work on, and how rows are printed."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from deploy.commands.columns import columns

if TYPE_CHECKING:
    from alerts.desk import Desk

EXIT_BAD, EXIT_USAGE = 1, 2

Author = Annotated[str, typer.Option("--author", help="who orders it; default: the login name")]
Comment = Annotated[str, typer.Option("--comment", "-m", help="why")]


@contextmanager
def open_desk(config: Path | None) -> Iterator[Desk]:
    """The tables of the configured state directory; the watchdog need not run."""
    from alerts.database import Database
    from alerts.desk import Desk
    from deploy.config import load

    path = load(config).service.state_dir / "journal.db"
    if not path.is_file():
        fail(f"there is no journal yet: {path}", EXIT_BAD)
    database = Database(path)
    try:
        if not database.durable:
            fail(f"{path} cannot be written: {database.notice}", EXIT_BAD)
        yield Desk(database, time.time)
        if not database.durable:  # what was ordered is in this process's memory only
            fail(f"nothing was kept: {database.notice}; try again", EXIT_BAD)
    finally:
        database.close()


def fail(message: str, code: int) -> NoReturn:
    """Say why on stderr, and end with this exit code."""
    print(message, file=sys.stderr)
    raise typer.Exit(code)


def clock_text(at: float) -> str:
    """Unix seconds as local time."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))


def show(names: Sequence[str], rows: Sequence[Mapping[str, Any]], empty: str) -> None:
    """Rows as a table; `empty` is said when there are none. Names that end in `_at` are times."""
    from rich.console import Console
    from rich.markup import escape

    if not rows:
        print(empty)
        return
    table = columns(name.removesuffix("_at") for name in names)
    for row in rows:
        cells = (
            clock_text(row[name]) if name.endswith("_at") else escape(str(row[name]))
            for name in names
        )
        table.add_row(*cells)
    Console().print(table)
