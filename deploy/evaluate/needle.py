"""Needle tests: one passage answers, somewhere in a long document; is that document found? PURE.

Each cell is a length and a depth. A topic has one document with the answering article at that
depth and others of the same length without it; all are filled with the other articles.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from deploy.evaluate.builders import udhr
from deploy.evaluate.dataset import DataError, Dataset, Text, Topic

DEPTHS = (0, 25, 50, 75, 100)
LENGTHS = (1024, 4096)
DOCUMENTS = 6
_APART = 2  # articles next to each other in number are close in subject too


@dataclass(frozen=True, slots=True)
class Haystack:
    """What is asked and where it is hidden.

    Attributes:
        chars: characters of a document, by its length in tokens.
        depths: per cent of the filler that comes before the needle.
    """

    query_lang: str
    doc_lang: str
    chars: Mapping[int, int]
    depths: Sequence[int] = DEPTHS
    queries: int = 4
    documents: int = DOCUMENTS
    seed: int = 1


def chars(tokens: int, lang: str) -> int:
    """About so many characters make that many tokens of a multilingual vocabulary."""
    return round(tokens * (1.5 if lang.startswith(("zh", "ja")) else 4.3))


def topics(dataset: Dataset, haystack: Haystack) -> list[Topic]:
    """One topic per question, length and depth; its pair is (length, depth), for the tables.

    Raises:
        DataError: the data set has no such questions or articles.
    """
    articles = {n: _text(dataset, f"{haystack.doc_lang}-{n:02}") for n in _numbers()}
    # longer passages make fairer needles than "Everyone has the right to a nationality."
    asked = sorted(_numbers(), key=lambda n: -len(articles[n]))[: haystack.queries]
    return [
        _topic(dataset, haystack, articles, number, (tokens, size, depth))
        for tokens, size in sorted(haystack.chars.items())
        for depth in haystack.depths
        for number in sorted(asked)
    ]


def _topic(
    dataset: Dataset,
    haystack: Haystack,
    articles: Mapping[int, str],
    number: int,
    cell: tuple[int, int, int],
) -> Topic:
    tokens, size, depth = cell
    name = f"{number:02}@{tokens}@{depth}"
    source = random.Random(f"{haystack.seed}:{number}:{tokens}")  # the same straw at each depth
    others = [text for n, text in articles.items() if abs(n - number) > _APART]
    documents = [
        Text(f"straw-{place}-{name}", _straw(source, others, size))
        for place in range(1, haystack.documents)
    ]
    hay = _straw(source, others, max(0, size - len(articles[number])))
    hidden = Text(f"needle-{name}", _hide(articles[number], hay, depth))
    documents.insert(source.randrange(haystack.documents), hidden)
    question = _text(dataset, f"q-{haystack.query_lang}-{number:02}", dataset.queries)
    return Topic(
        query=Text(f"q-{name}", question, f"{tokens} tokens"),
        doc_lang=f"{depth} %",
        documents=tuple(documents),
        judged={hidden.id: 1},
    )


def _hide(needle: str, hay: str, depth: int) -> str:
    """The needle between two sentences, as near to `depth` per cent of the hay as they allow."""
    at = len(hay) * depth // 100
    if 0 < at < len(hay):
        at = hay.rfind(" ", 0, at) + 1
    return " ".join(part for part in (hay[:at].strip(), needle, hay[at:].strip()) if part)


def _straw(source: random.Random, others: Sequence[str], chars: int) -> str:
    parts: list[str] = []
    length = 0
    while length < chars:
        text = source.choice(others)
        parts.append(text)
        length += len(text) + 1
    return " ".join(parts)[:chars]


def _numbers() -> range:
    return range(1, udhr.ARTICLES + 1)


def _text(dataset: Dataset, key: str, texts: Mapping[str, Text] | None = None) -> str:
    known = dataset.documents if texts is None else texts
    if key not in known:
        raise DataError(f"{dataset.name} has no {key}; needle tests use the shipped set")
    return known[key].text
