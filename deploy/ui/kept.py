"""PURE: what a visitor had filled in and seen, as it goes along when the language is changed.

The browser keeps it (`page.js`) and hands it to the other page, so all of it is to be doubted.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from typing import Any


@dataclass(frozen=True, slots=True)
class Kept:
    """What was in each box, by the names of `page.js`.

    Attributes:
        file: where what was uploaded lies, as the browser says; empty: there was none.
        wanted: what was looked for in the indexed folders.
        top: how many passages were to be found; 0: nobody says.
        asked: an order was on the page.
        found: so were passages of a search.
        searching: the tab that searches was open.
    """

    query: str = ""
    typed: str = ""
    file: str = ""
    instruction: str = ""
    compare: bool = False
    second: str = ""
    wanted: str = ""
    top: int = 0
    asked: bool = False
    found: bool = False
    searching: bool = False


def read_kept(text: str) -> Kept | None:
    """What the browser kept; None when it kept nothing. A value of a wrong type is none."""
    try:
        given = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(given, dict):
        return None
    nothing = Kept()
    taken: dict[str, Any] = {}
    for one in fields(Kept):
        value, usual = given.get(one.name), getattr(nothing, one.name)
        taken[one.name] = value if type(value) is type(usual) else usual
    return Kept(**taken)
