"""What the commands print on: a plain table, and a console that cuts nothing off."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

_ENDLESS = 10_000


def console() -> Console:
    """For the terminal as wide as it is; for a pipe or a file every row is one line."""
    from rich.console import Console

    is_piped = not sys.stdout.isatty() and "COLUMNS" not in os.environ
    return Console(highlight=False, width=_ENDLESS if is_piped else None)


def columns(names: Iterable[str]) -> Table:
    """An empty table with these columns; what is too wide goes on in the next line."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for name in names:
        table.add_column(name, overflow="fold")
    return table
