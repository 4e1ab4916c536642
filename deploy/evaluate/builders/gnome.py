"""GNOME Help as a data set with grades: pages name each other under "see also".

The pages (Mallard XML) come from the Debian package `gnome-user-docs` into a cache; they are
CC BY-SA 3.0 and not part of rankguard.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Sequence
from pathlib import Path

from deploy.evaluate.builders.debian import unpack
from deploy.evaluate.builders.pages import Page, assemble
from deploy.evaluate.dataset import Dataset

NAME = "gnome-help"
PACKAGE = "gnome-user-docs"
LICENCE = "GNOME Help: CC BY-SA 3.0, (c) GNOME Documentation Project"
LANGUAGES = {
    "en": "C", "ca": "ca", "cs": "cs", "de": "de", "el": "el", "es": "es", "fr": "fr", "hu": "hu",
    "id": "id", "it": "it", "ja": "ja", "ko": "ko", "pl": "pl", "pt-BR": "pt_BR", "ru": "ru",
    "sv": "sv", "uk": "uk", "zh-Hans": "zh_CN",
}  # fmt: skip
"""Language -> its folder in the package."""

_MALLARD = "{http://projectmallard.org/1.0/}"
_SHORTEST = 100  # characters: shorter pages are lists of links


def build(cache: Path, languages: Sequence[str]) -> Dataset:
    """Download what the cache lacks, and assemble; raises as `debian.unpack`."""
    root = unpack(PACKAGE, cache) / "usr/share/help"
    pages = {lang: load(root / LANGUAGES[lang] / "gnome-help") for lang in languages}
    return assemble(NAME, LICENCE, pages)


def load(folder: Path) -> dict[str, Page]:
    """The pages of one language by id."""
    pages = {}
    for file in sorted(folder.glob("*.page")):
        page = parse(file.stem, file.read_text(encoding="utf-8"))
        if page is not None:
            pages[page.path] = page
    return pages


def parse(path: str, text: str) -> Page | None:
    """One page; None for one that only points elsewhere."""
    root = ET.fromstring(text)  # noqa: S314 - a file of a signed Debian package
    title = root.find(f"{_MALLARD}title")
    heading = _plain(title) if title is not None else ""
    body = " ".join(
        _plain(part)
        for part in root
        if part.tag not in {f"{_MALLARD}info", f"{_MALLARD}title", f"{_MALLARD}links"}
    )
    related = frozenset(
        link.get("xref", "").partition("#")[0]
        for link in root.iterfind(f"{_MALLARD}info/{_MALLARD}link")
        if link.get("type") == "seealso"
    )
    if not heading or len(body) < _SHORTEST:
        return None
    return Page(path, heading, body, related - {"", path})


def _plain(element: ET.Element) -> str:
    return " ".join("".join(element.itertext()).split())
