"""PURE: cuts text to a vendor's limit, never in the middle of what a person sees as a character."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable

ELLIPSIS = "…"

_JOINER = "\u200d"

_DIRECTIONS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def to_chars(text: str, limit: int) -> str:
    """At most `limit` code points, with an ellipsis when something is missing."""
    return _cut(text, limit, len)


def to_bytes(text: str, limit: int) -> str:
    """At most `limit` bytes of UTF-8, with an ellipsis when something is missing."""
    return _cut(text, limit, byte_size)


def to_utf16(text: str, limit: int) -> str:
    """At most `limit` UTF-16 units, as JavaScript and Telegram count."""
    return _cut(text, limit, utf16_size)


def clean(text: str) -> str:
    """Without what breaks readers or deceives them.

    Lone surrogates and control characters break JSON readers and terminals; controls of the
    writing direction make a line read as something else.
    """
    return "".join(" " if _is_unclean(char) else char for char in text)


def _is_unclean(char: str) -> bool:
    if char in "\n\t":
        return False
    return char in _DIRECTIONS or unicodedata.category(char) in {"Cc", "Cs"}


def _cut(text: str, limit: int, size: Callable[[str], int]) -> str:
    if size(text) <= limit:
        return text
    room = limit - size(ELLIPSIS)
    if room < 0:
        return ""
    low, high = 0, len(text)
    while low < high:  # the longest prefix that fits
        middle = (low + high + 1) // 2
        if size(text[:middle]) <= room:
            low = middle
        else:
            high = middle - 1
    while low > 0 and _belongs_to_previous(text, low):
        low -= 1
    return text[:low].rstrip() + ELLIPSIS


def _belongs_to_previous(text: str, at: int) -> bool:
    """Whether cutting before `at` would split a character: a mark, a variation, a joined emoji."""
    char = text[at]
    if unicodedata.combining(char) or char == _JOINER or text[at - 1] == _JOINER:
        return True
    return "\ufe00" <= char <= "\ufe0f" or "\U0001f3fb" <= char <= "\U0001f3ff"


def fit(
    render: Callable[[int], str],
    limit: int,
    *,
    size: Callable[[str], int] = len,
    longest: int = 4000,
) -> str:
    """The rendering with the least taken from long lines that is within `limit`.

    Args:
        render: makes the whole text with no line's content longer than its argument, so that
            markup and escapes stay whole.
        longest: where to begin.
    """
    best = render(longest)
    if size(best) <= limit:
        return best
    low, high = 0, longest
    best = render(0)
    while low < high:
        middle = (low + high + 1) // 2
        text = render(middle)
        if size(text) <= limit:
            low, best = middle, text
        else:
            high = middle - 1
    return best if size(best) <= limit else _cut(best, limit, size)


def byte_size(text: str) -> int:
    """Bytes of UTF-8."""
    return len(text.encode("utf-8", "surrogatepass"))


def json_size(text: str) -> int:
    """Bytes of the text as a JSON string in UTF-8: backslashes, quotes and line breaks double."""
    return byte_size(json.dumps(text, ensure_ascii=False))


def utf16_size(text: str) -> int:
    """UTF-16 units."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2
