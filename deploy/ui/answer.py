"""PURE: what the service answered, as rows to show. Knows the wire format, not how it is shown."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

_METRIC = re.compile(r'(\w+)(?:;dur=([0-9.]+))?(?:;desc="([^"]*)")?')
_ABOUT_ROWS = re.compile(r"documents\[\d+\] did not fit whole|and \d+ more warnings")
"""Warnings that say again, by index and in English, what a row's own mark says."""


class BadAnswer(Exception):
    """A 200 that is not a rerank answer: something else than rankguard listens there."""


@dataclass(frozen=True, slots=True)
class Row:
    """One document in its new place.

    Attributes:
        rank: its place now, from 1.
        before: its place in the list as it was sent, from 1.
        score: from 0 to 1; None where nothing scored it.
        truncated: it did not fit whole.
        span: from which character to which the best window of a long document goes.
        error: why it has no score; empty when it has one.
    """

    rank: int
    before: int
    score: float | None
    text: str
    title: str = ""
    truncated: bool = False
    span: tuple[int, int] | None = None
    error: str = ""

    @property
    def moved(self) -> int:
        """How many places it went up; negative: down."""
        return self.before - self.rank


@dataclass(frozen=True, slots=True)
class Timing:
    """Where the time went, in milliseconds; None where the service did not say.

    Attributes:
        whole_ms: from asking to the answer, as the playground saw it.
        replicas: how many scored; 0: every score came from the cache.
    """

    whole_ms: float
    queue_ms: float | None = None
    score_ms: float | None = None
    replicas: int | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """An ordered list and what it took.

    Attributes:
        warnings: the service's own sentences, in English, on other things than cut documents.
    """

    rows: tuple[Row, ...]
    model: str
    tokens: int
    timing: Timing
    warnings: tuple[str, ...] = ()


def after(first: Answer, second: Answer) -> Answer:
    """The second answer to the same documents, its movement counted from the first one."""
    places = {row.before: row.rank for row in first.rows}
    rows = tuple(replace(row, before=places.get(row.before, row.before)) for row in second.rows)
    return replace(second, rows=rows)


def read_timing(header: str, whole_ms: float) -> Timing:
    """Read a `Server-Timing` header; what it lacks stays None."""
    found = {name: (dur, desc) for name, dur, desc in _METRIC.findall(header) if dur or desc}
    named = re.search(r'replicas;desc="([^"]*)"', header)

    def ms(name: str) -> float | None:
        try:
            return float(found[name][0])
        except (KeyError, ValueError):
            return None

    return Timing(whole_ms, ms("queue"), ms("score"), len(named[1].split()) if named else None)


def read_answer(body: object, documents: Sequence[str], timing: Timing) -> Answer:
    """An answer of `/v1/rerank` to these documents.

    Raises:
        BadAnswer: it has another shape, or names documents that were not sent.
    """
    try:
        whole = as_mapping(body)
        results = whole["results"]
        if not isinstance(results, list):
            raise BadAnswer("results is no list")
        rows = tuple(
            _row(rank, as_mapping(item), documents) for rank, item in enumerate(results, start=1)
        )
        usage, meta = as_mapping(whole.get("usage") or {}), as_mapping(whole.get("meta") or {})
        warnings = meta.get("warnings") or []
        said = map(str, warnings) if isinstance(warnings, list) else ()
        return Answer(
            rows=rows,
            model=str(whole.get("model", "")),
            tokens=as_whole(usage.get("total_tokens", 0)),
            timing=timing,
            warnings=tuple(text for text in said if not _ABOUT_ROWS.match(text)),
        )
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise BadAnswer(f"not an answer of /v1/rerank: {error}") from None


def _row(rank: int, item: Mapping[str, object], documents: Sequence[str]) -> Row:
    index = as_whole(item["index"])
    if index < 0:
        raise BadAnswer(f"index {index}")
    score = float(str(item["relevance_score"]))
    span = item.get("span")
    return Row(
        rank=rank,
        before=index + 1,
        score=score if math.isfinite(score) else 0.0,
        text=documents[index],
        truncated=item.get("truncated") is True,
        span=(as_whole(span[0]), as_whole(span[1]))
        if isinstance(span, list) and len(span) == 2
        else None,
        error=str(item.get("error") or ""),
    )


def as_mapping(value: object) -> Mapping[str, object]:
    """The value itself.

    Raises:
        BadAnswer: it is no object.
    """
    if not isinstance(value, dict):
        raise BadAnswer(f"a {type(value).__name__} where an object belongs")
    return value


def as_whole(value: object) -> int:
    """The value itself.

    Raises:
        TypeError: it is no whole number.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{value!r} is no whole number")
    return value
