"""TREC run files: `query Q0 document rank score tag`, one line per document."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from deploy.evaluate.dataset import DataError
from deploy.evaluate.folder import Answer

_COLUMNS = 6


def read_run(path: Path) -> dict[str, list[str]]:
    """Query id -> document ids, best score first; equal scores in the file's order.

    Raises:
        DataError: the file cannot be read or a line is no run line.
    """
    found: dict[str, list[tuple[float, str]]] = {}
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: {error}") from None
    for number, line in enumerate(text.splitlines(), start=1):
        columns = line.split()
        if not columns:
            continue
        try:
            query, _, document, _, score, _ = columns
            found.setdefault(query, []).append((-float(score), document))
        except ValueError:
            raise DataError(f"{path}:{number} has not TREC's {_COLUMNS} columns") from None
    if not found:
        raise DataError(f"{path} holds no ranking")
    return {
        query: [document for _, document in sorted(scored, key=lambda item: item[0])]
        for query, scored in found.items()
    }


def run_lines(answers: Iterable[Answer]) -> Iterable[str]:
    """A run file's lines; the topic is `query>language`, since a query can have several.

    The score column falls with the rank: tools that sort by it keep the order.
    """
    for answer in answers:
        for rank, document in enumerate(answer.documents, start=1):
            score = len(answer.documents) - rank + 1
            yield f"{answer.topic} Q0 {document} {rank} {score} {answer.system}"
