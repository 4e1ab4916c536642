"""What every dialect reads a body into, and the parts of an answer that they share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from service.errors import InvalidValue
from service.gateway.ranking import Ranked
from service.gateway.scoring import Scored
from service.request import Score

MAX_WARNINGS = 20
MAX_NAME = 64
"""Characters of a caller's own name that a message repeats."""


@dataclass(frozen=True, slots=True)
class Question:
    """One query and the documents to score against it."""

    query: str
    documents: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Common:
    """What a call asks beside its texts."""

    instruction: str | None = None
    max_tokens_per_doc: int | None = None
    model: str | None = None
    warnings: tuple[str, ...] = ()


class Call(Protocol):
    """A body as read by its dialect; knows how that dialect answers."""

    @property
    def questions(self) -> tuple[Question, ...]: ...

    @property
    def common(self) -> Common: ...

    def answer(self, scored: Sequence[Scored], *, name: str, warnings: Sequence[str]) -> bytes:
        """The body of the answer.

        Args:
            scored: one for each question, in order.
            name: the answer's id.
        """
        ...


class Dialect(Protocol):
    """A module of this folder: reads one wire format."""

    def read(self, fields: dict[str, object], limits: Limits) -> Call:
        """Read a body.

        Raises:
            InvalidValue: a field is missing or wrong.
        """
        ...


@dataclass(frozen=True, slots=True)
class Limits:
    """What a body may ask at most."""

    max_documents: int

    def check_count(self, fields: Mapping[str, object], *names: str) -> None:
        """Refuse lists that are too long before anybody looks at each of their items.

        Raises:
            InvalidValue: a list is too long.
        """
        for name in names:
            value = fields.get(name)
            if isinstance(value, list) and len(value) > self.max_documents:
                raise InvalidValue(
                    f"{name} holds {len(value)} items; at most {self.max_documents} are allowed",
                    param=name,
                )


def question(query: str, documents: Sequence[str], *, param: str = "query") -> Question:
    """A question with a query that asks something.

    Raises:
        InvalidValue: the query is empty or only white space.
    """
    if not query.strip():
        raise InvalidValue(f"{param} must not be empty", param=param)
    return Question(query, tuple(documents))


def notes_on(
    extra: Mapping[str, object] | None, documents: Iterable[str], ignored: Iterable[str] = ()
) -> tuple[str, ...]:
    """Warnings about what was sent: fields nobody reads, documents with nothing in them."""
    notes = [
        f"the field {name[:MAX_NAME]!r} is not known and has no effect" for name in extra or ()
    ]
    notes += [f"the field {name!r} has no effect here" for name in ignored]
    notes += [
        f"documents[{index}] is empty"
        for index, document in enumerate(documents)
        if not document or document.isspace()
    ]
    return tuple(notes)


def notes_after(scored: Sequence[Scored], model: str | None) -> list[str]:
    """Warnings about what came of it: cut documents, documents without a score, another model."""
    notes = []
    for one in scored:
        for index, score in enumerate(one.scores):
            if score.truncated:
                notes.append(f"documents[{index}] is longer than the model takes and was truncated")
            if score.error is not None:
                notes.append(f"documents[{index}] has no score: {score.error}")
    served = scored[0].model
    if model and served and model != served:
        notes.append(f"the model {model[:MAX_NAME]!r} is not served here; {served!r} answered")
    return notes


def bounded(warnings: Sequence[str]) -> list[str]:
    """The first of them, and how many more there are."""
    if len(warnings) <= MAX_WARNINGS:
        return list(warnings)
    return [*warnings[:MAX_WARNINGS], f"and {len(warnings) - MAX_WARNINGS} more warnings"]


def mark(result: dict[str, object], score: Score) -> dict[str, object]:
    """Say in a result what a caller should know about its score."""
    if score.truncated:
        result["truncated"] = True
    if score.error is not None:
        result["error"] = score.error
    return result


def relevance(ranked: Ranked, *, raw: bool) -> float:
    """The number that the caller asked for: from 0 to 1, or the logit itself."""
    return ranked.score.logit if raw else ranked.relevance


def usage(scored: Sequence[Scored]) -> dict[str, int]:
    tokens = sum(one.tokens for one in scored)
    return {"prompt_tokens": tokens, "total_tokens": tokens}
