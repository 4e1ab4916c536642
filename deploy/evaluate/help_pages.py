"""LibreOffice Help as search data: a page's heading is a query, the page is its answer.

The Debian packages `libreoffice-help-XX` (MPL-2.0) carry the same how-to pages in many languages.
They are downloaded when needed and never stored with the code.
"""

from __future__ import annotations

import html.parser
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

PACKAGES = {
    "en": ("libreoffice-help-en-us", "en-US"),
    "de": ("libreoffice-help-de", "de"),
    "el": ("libreoffice-help-el", "el"),
    "es": ("libreoffice-help-es", "es"),
    "fr": ("libreoffice-help-fr", "fr"),
    "id": ("libreoffice-help-id", "id"),
    "it": ("libreoffice-help-it", "it"),
    "ja": ("libreoffice-help-ja", "ja"),
    "ko": ("libreoffice-help-ko", "ko"),
    "pl": ("libreoffice-help-pl", "pl"),
    "pt": ("libreoffice-help-pt-br", "pt-BR"),
    "ru": ("libreoffice-help-ru", "ru"),
    "tr": ("libreoffice-help-tr", "tr"),
    "zh": ("libreoffice-help-zh-cn", "zh-CN"),
}
"""Language -> Debian package and its folder of pages."""

_APT_LIMIT_S = 300
_HELP = Path("usr/share/libreoffice/help")
_DEBUG = "Help content debug info:"
_BLOCKS = {"p", "h1", "h2", "h3", "li", "td", "th"}


@dataclass(frozen=True, slots=True)
class Page:
    """One how-to page; `module` is the program that it is about, such as `swriter`."""

    path: str
    module: str
    heading: str
    text: str


class _Reader(html.parser.HTMLParser):
    """Collects the first heading and the text of the blocks in the display area."""

    def __init__(self) -> None:
        super().__init__()
        self.heading: list[str] = []
        self.text: list[str] = []
        self._inside = False
        self._open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if ("id", "DisplayArea") in attrs:
            self._inside = True
        if self._inside and tag in _BLOCKS:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag == "footer":
            self._inside = False
        if self._open and self._open[-1] == tag:
            self._open.pop()
            self.text.append("\n")

    def handle_data(self, data: str) -> None:
        if not self._open:
            return
        if self._open[-1] == "h1":
            self.heading.append(data)
        else:
            self.text.append(data)


def download(folder: Path, languages: list[str]) -> None:
    """Fetch and unpack the packages that `folder` lacks; needs Debian or Ubuntu.

    Raises:
        subprocess.CalledProcessError: apt or dpkg failed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for language in languages:
        package, pages = PACKAGES[language]
        if (folder / _HELP / pages).is_dir():
            continue
        subprocess.run(
            ["apt-get", "download", package], cwd=folder, check=True, timeout=_APT_LIMIT_S
        )
        for archive in folder.glob(f"{package}_*.deb"):
            subprocess.run(["dpkg-deb", "-x", archive, folder], check=True, timeout=_APT_LIMIT_S)


def load(folder: Path, language: str) -> dict[str, Page]:
    """The how-to pages of one language by path; the same path is the same page everywhere."""
    root = folder / _HELP / PACKAGES[language][1] / "text"
    pages = {}
    for file in sorted(root.glob("*/guide/*.html")):
        path = file.relative_to(root).as_posix()
        page = _read(file, path)
        if page is not None:
            pages[path] = page
    return pages


def _read(file: Path, path: str) -> Page | None:
    reader = _Reader()
    reader.feed(file.read_text("utf-8"))
    heading = _plain(reader.heading)
    text = _plain(reader.text).split(_DEBUG)[0].strip()
    if not heading or len(text) < 2 * len(heading):  # a stub that only points elsewhere
        return None
    return Page(path, path.split("/", maxsplit=1)[0], heading, text)


def _plain(parts: list[str]) -> str:
    return re.sub(r"\s+", " ", "".join(parts)).strip()
