"""The plain table of the commands: no lines, and no word cut off on a narrow terminal."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table


def columns(names: Iterable[str]) -> Table:
    """An empty table with these columns; what is too wide goes on in the next line."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for name in names:
        table.add_column(name, overflow="fold")
    return table
