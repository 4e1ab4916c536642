"""PURE: silences: who wants not to hear of what, until when, and why."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from alerts.labels import Matcher, all_match, parse_matcher

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*([smhd])")
_UNIT_S = {"s": 1, "m": 60, "h": 3600, "d": 86400}


class SilenceError(ValueError):
    """A silence that cannot be accepted."""


def parse_duration(text: str) -> float:
    """Seconds of `90s`, `30m`, `2h` or `1d`.

    Raises:
        SilenceError: it is none of these, or not more than zero.
    """
    found = _DURATION.fullmatch(text.strip())
    seconds = float(found[1]) * _UNIT_S[found[2]] if found else 0.0
    if seconds <= 0:
        raise SilenceError(f"{text!r} is not a duration such as 90s, 30m, 2h or 1d")
    return seconds


@dataclass(frozen=True, slots=True)
class Silence:
    """Mutes new alerts. What was already told still gets its end.

    Attributes:
        matchers: all must match; none at all means everything, which is maintenance.
        starts_at, ends_at: Unix seconds.
    """

    id: str
    matchers: tuple[Matcher, ...]
    starts_at: float
    ends_at: float
    author: str
    comment: str

    @property
    def is_maintenance(self) -> bool:
        return not self.matchers

    def to_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "matchers": [str(matcher) for matcher in self.matchers],
            "starts_at": self.starts_at,
            "ends_at": self.ends_at,
            "author": self.author,
            "comment": self.comment,
        }

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Silence:
        return cls(
            id=body["id"],
            matchers=tuple(parse_matcher(text) for text in body["matchers"]),
            starts_at=body["starts_at"],
            ends_at=body["ends_at"],
            author=body["author"],
            comment=body["comment"],
        )


def check(silence: Silence, *, maintenance: bool) -> None:
    """Refuse what is surely a mistake.

    Args:
        maintenance: muting everything is meant.

    Raises:
        SilenceError: it has no end after its start, no author, no comment, or mutes everything
            without being meant to.
    """
    if silence.ends_at <= silence.starts_at:
        raise SilenceError("a silence must end after it starts")
    if not silence.author.strip() or not silence.comment.strip():
        raise SilenceError("a silence needs an author and a comment: somebody will ask why")
    if silence.is_maintenance and not maintenance:
        raise SilenceError("a silence needs a matcher; for all alerts ask for maintenance")


def muting(silences: Iterable[Silence], labels: Mapping[str, str], now: float) -> Silence | None:
    """The silence in force that matches; the one that ends last when several do."""
    found = [
        silence
        for silence in silences
        if silence.starts_at <= now < silence.ends_at and all_match(silence.matchers, labels)
    ]
    return max(found, key=lambda silence: silence.ends_at, default=None)
