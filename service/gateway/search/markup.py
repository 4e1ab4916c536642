"""An HTML page as plain text with Markdown's headings and lists, so that one cutter reads both.

PURE.
"""

from __future__ import annotations

import html.parser
import re

_HIDDEN = frozenset({"script", "style", "template", "noscript", "nav", "svg", "head", "iframe"})
_BLOCKS = frozenset(
    {
        *("p", "div", "section", "article", "main", "header", "footer", "aside", "table", "tr"),
        *("ul", "ol", "dl", "dt", "dd", "blockquote", "pre", "figure", "form", "hr", "br"),
    }
)
_HEADINGS = {f"h{level}": "#" * level for level in range(1, 7)}
_VOID = frozenset({"br", "hr", "img", "input", "link", "meta", "wbr", "source", "area", "col"})
_SPACE = re.compile(r"[ \t\r\f\v\u00a0]+")
_LINES = re.compile(r"\n{3,}")


class _Reader(html.parser.HTMLParser):
    """Collects what a reader of the page would see."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.title: list[str] = []
        self.text: list[str] = []
        self._hidden = 0
        self._is_title = False
        self._pre = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002
        if tag == "title":
            self._is_title = True
        if tag in _HIDDEN:
            self._hidden += 1
        elif self._hidden:
            return
        elif tag in _HEADINGS:
            self.text.append(f"\n\n{_HEADINGS[tag]} ")
        elif tag == "li":
            self.text.append("\n- ")
        elif tag in {"td", "th"}:
            self.text.append(" ")
        elif tag in _BLOCKS:
            self._pre += tag == "pre"
            self.text.append("\n" if tag in {"br", "tr"} else "\n\n")

    def handle_endtag(self, tag: str) -> None:
        if tag == "title":
            self._is_title = False
        if tag in _HIDDEN:
            self._hidden = max(0, self._hidden - 1)
        elif not self._hidden and (tag in _HEADINGS or tag in _BLOCKS) and tag not in _VOID:
            self._pre -= tag == "pre" and self._pre > 0
            self.text.append("\n\n")

    def handle_data(self, data: str) -> None:
        if self._is_title:
            self.title.append(data)
        elif not self._hidden:
            self.text.append(data if self._pre else data.replace("\n", " "))


def plain(page: str) -> tuple[str, str]:
    """The page's title (empty where it has none) and its text.

    Broken HTML is read as far as it can be.
    """
    reader = _Reader()
    reader.feed(page)
    reader.close()
    lines = [_SPACE.sub(" ", line).strip() for line in "".join(reader.text).split("\n")]
    title = " ".join("".join(reader.title).split())
    return title, _LINES.sub("\n\n", "\n".join(lines)).strip()
