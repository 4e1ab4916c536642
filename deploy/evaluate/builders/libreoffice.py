"""LibreOffice Help as a data set: a page's heading asks, the page itself answers.

The pages come from Debian packages into a cache; their texts are MPL-2.0 and not part of
rankguard. Hard: pages of one program are about nearly the same thing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from deploy.evaluate import help_pages
from deploy.evaluate.dataset import Dataset, Text, index_texts
from deploy.evaluate.help_pages import Page

LICENCE = "LibreOffice Help: Mozilla Public License 2.0, (c) The Document Foundation contributors"
LANGUAGES = tuple(help_pages.PACKAGES)
_HUB = "en"


def build(cache: Path, languages: Sequence[str] = LANGUAGES) -> Dataset:
    """Download what the cache lacks, and assemble; needs Debian or Ubuntu.

    Raises:
        subprocess.CalledProcessError, OSError: apt or dpkg failed or are not there.
    """
    help_pages.download(cache, list(languages))
    return assemble({lang: help_pages.load(cache, lang) for lang in languages})


def assemble(pages: Mapping[str, Mapping[str, Page]]) -> Dataset:
    """The data set of the pages that every language has, translated.

    A page whose heading is the same as in English was left untranslated; it is dropped in all
    languages, so that every pool holds the same pages. So are headings that two pages share.
    """
    shared = set.intersection(*(set(found) for found in pages.values()))
    shared -= {path for found in pages.values() for path in _ambiguous(found)}
    if _HUB in pages:
        english = pages[_HUB]
        shared -= {
            path
            for lang, found in pages.items()
            for path in shared
            if lang != _HUB and found[path].heading == english[path].heading
        }
    paths = sorted(shared)
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
    judgements = {
        f"q:{lang}:{path}": {f"{other}:{path}": 1 for other in pages}
        for lang in pages
        for path in paths
    }
    return Dataset(
        name="libreoffice-help",
        queries=index_texts(queries, "heading"),
        documents=index_texts(documents, "page"),
        judgements=judgements,
        pairs=_pairs(list(pages)),
        queries_per_pair=None,
        licence=LICENCE,
    )


def _pairs(languages: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Each language on itself, then from and to English."""
    others = [lang for lang in languages if lang != _HUB]
    same = [(lang, lang) for lang in languages]
    if _HUB not in languages:
        return tuple(same)
    return (*same, *((_HUB, lang) for lang in others), *((lang, _HUB) for lang in others))


def _ambiguous(found: Mapping[str, Page]) -> set[str]:
    first: dict[str, str] = {}
    twice: set[str] = set()
    for path, page in found.items():
        known = first.setdefault(page.heading.casefold(), path)
        if known != path:
            twice |= {known, path}
    return twice
