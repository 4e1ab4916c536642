"""Handbook pages that exist in many languages, as a data set: a heading asks for its page. PURE."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from deploy.evaluate.dataset import Dataset, Text, index_texts

HUB = "en"
RELATED = 1
"""Grade of a page that the right one names under "see also"; the right one has 2 there."""


@dataclass(frozen=True, slots=True)
class Page:
    """One page in one language; the same path is the same page in every language.

    Attributes:
        related: paths of the pages that this one sends its reader to.
    """

    path: str
    heading: str
    text: str
    related: frozenset[str] = frozenset()


def assemble(name: str, licence: str, pages: Mapping[str, Mapping[str, Page]]) -> Dataset:
    """The data set of the pages that every language has, translated.

    A page whose heading is the same as in English was left untranslated; it is dropped in all
    languages, so that every pool holds the same pages. So are headings that two pages share.

    Args:
        pages: language -> path -> page.
    """
    paths = sorted(_common(pages))
    kept = set(paths)
    documents = [
        Text(f"{lang}:{path}", found[path].text, lang)
        for lang, found in pages.items()
        for path in paths
    ]
    queries = [
        Text(f"q:{lang}:{path}", found[path].heading, lang)
        for lang, found in pages.items()
        for path in paths
    ]
    graded = any(page.related for found in pages.values() for page in found.values())
    judgements = {
        f"q:{lang}:{path}": _grades(path, found[path].related & kept, pages, graded=graded)
        for lang, found in pages.items()
        for path in paths
    }
    return Dataset(
        name=name,
        queries=index_texts(queries, "heading"),
        documents=index_texts(documents, "page"),
        judgements=judgements,
        pairs=_pairs(list(pages)),
        licence=licence,
    )


def _grades(
    path: str, related: Collection[str], languages: Collection[str], *, graded: bool
) -> dict[str, int]:
    own = RELATED + 1 if graded else 1
    grades = {f"{lang}:{other}": RELATED for lang in languages for other in related}
    return grades | {f"{lang}:{path}": own for lang in languages}


def _common(pages: Mapping[str, Mapping[str, Page]]) -> set[str]:
    shared = set.intersection(*(set(found) for found in pages.values()))
    shared -= {path for found in pages.values() for path in _ambiguous(found)}
    english = pages.get(HUB, {})
    return {
        path
        for path in shared
        if all(
            lang == HUB or path not in english or found[path].heading != english[path].heading
            for lang, found in pages.items()
        )
    }


def _ambiguous(found: Mapping[str, Page]) -> set[str]:
    first: dict[str, str] = {}
    twice: set[str] = set()
    for path, page in found.items():
        known = first.setdefault(page.heading.casefold(), path)
        if known != path:
            twice |= {known, path}
    return twice


def _pairs(languages: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Each language on itself, then from and to English."""
    others = [lang for lang in languages if lang != HUB]
    same = [(lang, lang) for lang in languages]
    if HUB not in languages:
        return tuple(same)
    return (*same, *((HUB, lang) for lang in others), *((lang, HUB) for lang in others))
