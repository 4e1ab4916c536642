"""What every dialect reads a body into, and the parts of an answer that they share."""

from __future__ import annotations

import re
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
    """One query and the documents to score against it.

    Attributes:
        field: what the dialect calls its documents.
        places: the documents' indexes in that field; None when they are all of it, in order.
    """

    query: str
    documents: tuple[str, ...]
    field: str = "documents"
    places: tuple[int, ...] | None = None

    def place(self, index: int) -> str:
        return f"{self.field}[{index if self.places is None else self.places[index]}]"


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

        Raises:
            InvalidValue: the caller forbade what had to be done to score a document.
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


def require_text(query: str, param: str = "query") -> str:
    """The query, when it asks something.

    Raises:
        InvalidValue: it is empty or only white space.
    """
    if not query.strip():
        raise InvalidValue(f"{param} must not be empty", param=param)
    return query


def notes_before(
    extra: Mapping[str, object] | None,
    questions: Sequence[Question],
    ignored: Iterable[str] = (),
) -> tuple[str, ...]:
    """Warnings about what was sent: fields without effect, documents with nothing in them."""
    notes = [f"the field {name[:MAX_NAME]!r} is not known: no effect" for name in extra or ()]
    notes += [f"the field {name!r} has no effect here" for name in ignored]
    notes += [
        f"{question.place(index)} is empty"
        for question in questions
        for index, document in enumerate(question.documents)
        if not document or document.isspace()
    ]
    return tuple(notes)


def notes_after(call: Call, scored: Sequence[Scored]) -> tuple[str, ...]:
    """Warnings about what came of it: cut documents, documents without a score, another model."""
    notes = []
    for question, one in zip(call.questions, scored, strict=True):
        for index, score in enumerate(one.scores):
            if score.truncated:
                notes.append(f"{question.place(index)} did not fit whole and was truncated")
            if score.error is not None:
                notes.append(f"{question.place(index)} has no score: {score.error}")
    asked, served = call.common.model, scored[0].model
    if asked and served and asked != served:
        notes.append(f"the model {asked[:MAX_NAME]!r} is not served here; {served!r} answered")
    return tuple(notes)


def bounded(warnings: Sequence[str]) -> list[str]:
    """The first of them, and how many more there are."""
    if len(warnings) <= MAX_WARNINGS:
        return list(warnings)
    return [*warnings[:MAX_WARNINGS], f"and {len(warnings) - MAX_WARNINGS} more warnings"]


def in_words_of(questions: Sequence[Question], error: InvalidValue) -> InvalidValue:
    """An engine's refusal, which speaks of `documents[3]`, with the dialect's own names."""
    one = questions[0]

    def named(match: re.Match[str]) -> str:
        index = int(match.group(1))
        # of several questions it is not known which one was refused
        alone = len(questions) == 1 and index < len(one.documents)
        return one.place(index) if alone else one.field

    param = None if error.param is None else _INDEXED.sub(named, error.param)
    return error.reworded(_INDEXED.sub(named, error.message), param)


_INDEXED = re.compile(r"documents\[(\d+)\]")


def mark(result: dict[str, object], score: Score) -> dict[str, object]:
    """Say in a result what a caller should know about its score."""
    if score.truncated:
        result["truncated"] = True
    if score.span is not None:
        result["span"] = list(score.span)
    if score.error is not None:
        result["error"] = score.error
    return result


def relevance(ranked: Ranked, *, raw: bool) -> float:
    """The number that the caller asked for: from 0 to 1, or the logit itself."""
    return ranked.score.logit if raw else ranked.relevance


def usage(scored: Sequence[Scored]) -> dict[str, int]:
    tokens = sum(one.tokens for one in scored)
    return {"prompt_tokens": tokens, "total_tokens": tokens}
