"""The questions that old and new are both asked: the shipped ones in 39 languages, or a file's."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from deploy.evaluate import shipped
from deploy.evaluate.dataset import judged_within, pairs_of
from deploy.upgrade.parity import Question
from monitor.probes.canary import CASES

_DOCUMENTS = 5
"""Of one shipped question: enough to order, few enough for a CPU beside its users."""
_MOST = 1000


class QuestionsError(Exception):
    """The file cannot be used; names the line."""


def load(path: Path | None) -> list[Question]:
    """The questions of a file, or the shipped ones.

    Raises:
        QuestionsError: it cannot be read.
    """
    return _shipped() if path is None else _read(path)


def _shipped() -> list[Question]:
    """The canary's cases, and one question from each language pair of the shipped data set."""
    found = [Question(case.name, case.query, case.documents, best=0) for case in CASES]
    dataset = shipped.load()
    for number, pair in enumerate(pairs_of(dataset)):
        # another article in every pair, and the distractors around it
        query = pair.queries[7 * number % len(pair.queries)]
        judged = judged_within(dataset, query, pair.doc_lang)
        right = next(each for each in pair.pool if judged.get(each.id, 0) > 0)
        at = pair.pool.index(right)
        others = [pair.pool[(at + 6 * step) % len(pair.pool)] for step in range(1, _DOCUMENTS)]
        texts = [one.text for one in others if one.id != right.id]
        best = number % (len(texts) + 1)
        texts.insert(best, right.text)
        name = f"{pair.query_lang}>{pair.doc_lang}"
        found.append(Question(name, query.text, tuple(texts), best=best))
    return found


def _read(path: Path) -> list[Question]:
    """A JSON object a line: `query`, `documents` (strings or `{text}`), and `best` if known."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise QuestionsError(f"{path}: {error}") from None
    found = list(_questions(path, lines))
    if not found:
        raise QuestionsError(f"{path} holds no question")
    if len(found) > _MOST:
        raise QuestionsError(f"{path} holds more than {_MOST} questions")
    return found


def _questions(path: Path, lines: list[str]) -> Iterator[Question]:
    for number, line in enumerate(lines, start=1):
        if line.strip():
            yield _question(line, f"{path}:{number}")


def _question(line: str, where: str) -> Question:
    try:
        body = json.loads(line)
        query, given, best = body["query"], body["documents"], body.get("best")
        documents = tuple(each if isinstance(each, str) else each["text"] for each in given)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise QuestionsError(f"{where} is no JSON object with query and documents") from None
    if not isinstance(query, str) or not all(isinstance(each, str) for each in documents):
        raise QuestionsError(f"{where}: query and documents must be text")
    if len(documents) < 2:
        raise QuestionsError(f"{where}: fewer than two documents have no order")
    if best is not None and (not isinstance(best, int) or not 0 <= best < len(documents)):
        raise QuestionsError(f"{where}: best must be the place of a document")
    return Question(where, query, documents, best)
