"""What is evaluated: queries, documents and judgements, cut into language pairs.

Knows no file format and no endpoint.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

ANY_LANGUAGE = "any"
"""Language of a text whose data set names none."""


class DataError(Exception):
    """The data set cannot be used; the message names file, line or id."""


@dataclass(frozen=True, slots=True)
class Text:
    """A query or a document."""

    id: str
    text: str
    lang: str = ANY_LANGUAGE


@dataclass(frozen=True, slots=True)
class Dataset:
    """Queries, documents and judgements.

    Attributes:
        judgements: query id -> document id -> grade; 0 and what is absent is not relevant.
        pairs: (query language, document language) worth measuring, in this order; empty: all
            pairs that have judgements.
        candidates: query id -> documents that its ranking starts from, where the data set has
            its own; None: it has none.
        queries_per_pair: how many queries per pair a run takes when nothing else is asked.
        licence: of the texts, as a sentence.
    """

    name: str
    queries: Mapping[str, Text]
    documents: Mapping[str, Text]
    judgements: Mapping[str, Mapping[str, int]]
    pairs: tuple[tuple[str, str], ...] = ()
    candidates: Mapping[str, Sequence[str]] | None = field(default=None, hash=False)
    queries_per_pair: int | None = None
    licence: str = "unknown"

    def digest(self) -> str:
        """16 hex digits that change when any text or judgement changes."""
        state = hashlib.sha256()
        for texts in (self.queries, self.documents):
            for key in sorted(texts):
                state.update(f"{key}\x1f{texts[key].lang}\x1f{texts[key].text}\x1e".encode())
        for query in sorted(self.judgements):
            for document, grade in sorted(self.judgements[query].items()):
                state.update(f"{query}\x1f{document}\x1f{grade}\x1e".encode())
        return state.hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Topic:
    """One query in one language pair with the documents that are to be ordered.

    Attributes:
        judged: document id -> grade, the whole pair's, candidates or not: a relevant document
            that is no candidate lowers recall and NDCG as it should.
    """

    query: Text
    doc_lang: str
    documents: tuple[Text, ...]
    judged: Mapping[str, int] = field(hash=False)

    @property
    def key(self) -> str:
        """Names the topic within a run."""
        return f"{self.query.id}>{self.doc_lang}"

    @property
    def pair(self) -> tuple[str, str]:
        return self.query.lang, self.doc_lang


@dataclass(frozen=True, slots=True)
class Pair:
    """Two languages, the judged queries of the one and the pool of documents of the other."""

    query_lang: str
    doc_lang: str
    queries: tuple[Text, ...]
    pool: tuple[Text, ...]


def pairs_of(
    dataset: Dataset,
    *,
    only: Sequence[tuple[str, str]] = (),
    max_queries: int | None = None,
) -> list[Pair]:
    """The pairs to measure; queries without a relevant document in the pair are left out.

    Args:
        only: measure these pairs, instead of those that the data set names.
        max_queries: per pair; taken at even distances over the sorted ids, so that the same
            ones are taken every time. None takes all.

    Raises:
        DataError: a wanted pair has no judged query.
    """
    pools: dict[str, list[Text]] = {}
    for document in dataset.documents.values():
        pools.setdefault(document.lang, []).append(document)
    judged = _judged_by_pair(dataset)
    wanted = list(only) or list(dataset.pairs) or sorted(judged)
    pairs = []
    for query_lang, doc_lang in wanted:
        ids = sorted(judged.get((query_lang, doc_lang), ()))
        if not ids:
            raise DataError(f"{dataset.name} has no judged query for {query_lang}>{doc_lang}")
        pairs.append(
            Pair(
                query_lang,
                doc_lang,
                tuple(dataset.queries[each] for each in _spread(ids, max_queries)),
                tuple(pools[doc_lang]),
            )
        )
    return pairs


def judged_within(dataset: Dataset, query: Text, doc_lang: str) -> dict[str, int]:
    """The grades of a query's documents that are in one language."""
    return {
        document: grade
        for document, grade in dataset.judgements[query.id].items()
        if document in dataset.documents and dataset.documents[document].lang == doc_lang
    }


def _judged_by_pair(dataset: Dataset) -> dict[tuple[str, str], set[str]]:
    found: dict[tuple[str, str], set[str]] = {}
    for query_id, grades in dataset.judgements.items():
        query = dataset.queries.get(query_id)
        if query is None:
            continue
        for document_id, grade in grades.items():
            document = dataset.documents.get(document_id)
            if grade > 0 and document is not None:
                found.setdefault((query.lang, document.lang), set()).add(query_id)
    return found


def _spread(ids: Sequence[str], limit: int | None) -> list[str]:
    if limit is None or limit >= len(ids):
        return list(ids)
    return [ids[index * len(ids) // limit] for index in range(limit)]


def parse_pair(text: str) -> tuple[str, str]:
    """`zh>en` or `zh-en` or `zh:en` as two languages; a tag with a dash needs `>` or `:`.

    Raises:
        DataError: it names no two languages.
    """
    for mark in (">", ":", "-"):
        parts = text.split(mark)
        if len(parts) == 2 and all(parts):
            return parts[0], parts[1]
    raise DataError(f"{text!r} is not a language pair such as zh-Hans>en")


def index_texts(texts: Iterable[Text], what: str) -> dict[str, Text]:
    """Texts by id.

    Raises:
        DataError: an id comes twice.
    """
    found: dict[str, Text] = {}
    for text in texts:
        if text.id in found:
            raise DataError(f"{what} {text.id!r} comes twice")
        found[text.id] = text
    return found
