"""The Debian Installation Guide as a data set of long documents: a page's title asks for it.

The pages come from the Debian package `installation-guide-amd64` into a cache; they are GPL-2
and not part of rankguard.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path

from deploy.evaluate.builders.debian import unpack
from deploy.evaluate.builders.pages import Page, assemble
from deploy.evaluate.dataset import Dataset

NAME = "installation-guide"
PACKAGE = "installation-guide-amd64"
LICENCE = "Debian Installation Guide: GPL-2, (c) the Debian Installer team and contributors"
LANGUAGES = {
    "en": "en", "ca": "ca", "cs": "cs", "da": "da", "de": "de", "el": "el", "es": "es", "fr": "fr",
    "id": "id", "it": "it", "ja": "ja", "ko": "ko", "nl": "nl", "pt": "pt", "ro": "ro", "ru": "ru",
    "sv": "sv", "vi": "vi", "zh-Hans": "zh_CN",
}  # fmt: skip
"""Language -> its folder in the package."""

_SHORTEST = 200  # characters: shorter pages are tables of contents


def build(cache: Path, languages: Sequence[str]) -> Dataset:
    """Download what the cache lacks, and assemble; raises as `debian.unpack`."""
    root = unpack(PACKAGE, cache) / "usr/share/doc" / PACKAGE
    pages = {lang: load(root / LANGUAGES[lang]) for lang in languages}
    return assemble(NAME, LICENCE, pages)


def load(folder: Path) -> dict[str, Page]:
    """The sections of one language by file name; chapters are only lists of their sections."""
    pages = {}
    for file in sorted(folder.glob("*s[0-9][0-9].html")):
        page = parse(file.stem, file.read_text(encoding="utf-8"))
        if page is not None:
            pages[page.path] = page
    return pages


def parse(path: str, text: str) -> Page | None:
    """One page without navigation and titles; None for one that is nearly empty."""
    reader = _Reader()
    reader.feed(text)
    heading = re.sub(r"^[\dA-H]+(?:\.\d+)*\.?\s*", "", _plain(reader.title))
    body = _plain(reader.text)
    if not heading or len(body) < _SHORTEST:
        return None
    return Page(path, heading, body)


class _Reader(HTMLParser):
    """Collects the title and, outside navigation and the page's own title, the text."""

    def __init__(self) -> None:
        super().__init__()
        self.title: list[str] = []
        self.text: list[str] = []
        self._in_title = False
        self._in_body = False
        self._depth = 0  # of <div>, counted inside a part that is left out

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._in_title = tag == "title" or self._in_title
        self._in_body = tag == "body" or self._in_body
        left_out = dict(attrs).get("class") in {"navheader", "navfooter", "titlepage", "toc"}
        if tag == "div" and (self._depth or left_out):
            self._depth += 1

    def handle_endtag(self, tag: str) -> None:
        if tag == "title":
            self._in_title = False
        elif tag == "div" and self._depth:
            self._depth -= 1

    def handle_data(self, data: str) -> None:
        if self._in_title:
            self.title.append(data)
        elif self._in_body and not self._depth:
            self.text.append(data)


def _plain(parts: Sequence[str]) -> str:
    return " ".join("".join(parts).split())
