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
    """The shipped data set; needs no network and no cache."""
    raw = resources.files("deploy.evaluate.data").joinpath(FILE).read_bytes()
    articles: dict[str, list[str]] = json.loads(gzip.decompress(raw))
    texts = (
        Text(f"{lang}-{number:02}", text, lang)
        for lang, found in articles.items()
        for number, text in enumerate(found, start=1)
    )
    return udhr.assemble(texts, udhr.questions())


def pack(articles: list[Text]) -> bytes:
    """The content of the shipped file, the same bytes for the same texts."""
    found: dict[str, list[str]] = {}
    for article in sorted(articles, key=lambda each: each.id):
        found.setdefault(article.lang, []).append(article.text)
    body = json.dumps(found, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    return gzip.compress(body.encode(), compresslevel=9, mtime=0)
