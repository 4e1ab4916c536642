"""The data set that ships with rankguard: the declaration in 39 languages, ten with questions."""

from __future__ import annotations

import gzip
import json
from importlib import resources

from deploy.evaluate.builders import udhr
from deploy.evaluate.dataset import Dataset, Text

FILE = "udhr.json.gz"
"""language -> its 30 articles, in order."""


def load() -> Dataset:
    """The shipped data set: our questions in ten languages; needs no network and no cache."""
    return udhr.assemble(_articles(), udhr.questions())


def load_sentences() -> Dataset:
    """The same articles, asked for by their first sentence in another of the 39 languages."""
    return udhr.sentences(_articles())


def _articles() -> list[Text]:
    raw = resources.files("deploy.evaluate.data").joinpath(FILE).read_bytes()
    articles: dict[str, list[str]] = json.loads(gzip.decompress(raw))
    return [
        Text(f"{lang}-{number:02}", text, lang)
        for lang, found in articles.items()
        for number, text in enumerate(found, start=1)
    ]


def pack(articles: list[Text]) -> bytes:
    """The content of the shipped file, the same bytes for the same texts."""
    found: dict[str, list[str]] = {}
    for article in sorted(articles, key=lambda each: each.id):
        found.setdefault(article.lang, []).append(article.text)
    body = json.dumps(found, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    return gzip.compress(body.encode(), compresslevel=9, mtime=0)
