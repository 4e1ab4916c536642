"""A source cut into passages under their headings, by `semantic-text-splitter`."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass

from service.gateway.chunking import estimate
from service.gateway.search.passage import Passage

FORMAT = "1"
"""Changes whenever equal sources would be cut into other passages than before."""

MAX_TITLE = 300

_HEADING = re.compile(r"^(#{1,6})[ \t]+(.+?)[ \t#]*$")
_FENCE = re.compile(r"^[ \t]*(```|~~~)")


@dataclass(frozen=True, slots=True)
class Source:
    """A text as it was read.

    Attributes:
        name: what `Passage.source` says.
        title: its own title; empty: its first heading is, or `stem`.
        is_markdown: whether lines that begin with `#` are headings.
        stem: a title of last resort; a record's id is none.
    """

    folder: str
    name: str
    title: str
    text: str
    is_markdown: bool
    stem: str = ""


class Cutter:
    """Cuts sources into passages of at most so many tokens, as far as tokens can be estimated."""

    def __init__(self, passage_tokens: int) -> None:
        from semantic_text_splitter import (  # noqa: PLC0415 - only who indexes needs it
            MarkdownSplitter,
            TextSplitter,
        )

        self._tokens = passage_tokens
        self._markdown = MarkdownSplitter.from_callback(estimate, passage_tokens)
        self._text = TextSplitter.from_callback(estimate, passage_tokens)

    def digest(self, source: Source) -> str:
        """Of all that the passages depend on."""
        kind = f"{FORMAT} {self._tokens} {source.is_markdown}"
        parts = (kind, source.title, source.stem, source.text)
        state = hashlib.sha256()
        for part in parts:
            data = part.encode("utf-8", "surrogatepass")
            state.update(len(data).to_bytes(8, "little"))
            state.update(data)
        return state.hexdigest()[:32]

    def passages(self, source: Source) -> list[Passage]:
        """The source's passages in order; none when there is no text in it."""
        splitter = self._markdown if source.is_markdown else self._text
        headings = list(_headings(source.text)) if source.is_markdown else []
        title = source.title or _first(headings) or source.stem
        digest = self.digest(source)
        found: list[Passage] = []
        for offset, text in splitter.chunk_indices(source.text):
            if _says_nothing(text, is_markdown=source.is_markdown):
                continue
            path = [title, *_path(headings, offset, text)]
            name = " > ".join(filter(None, dict.fromkeys(path)))[:MAX_TITLE]
            found.append(Passage(source.folder, source.name, len(found), name, text, digest))
        return found


def _says_nothing(text: str, *, is_markdown: bool) -> bool:
    """Whether there is nothing but headings, which stand in the next passage's title anyway."""
    lines = [line for line in text.splitlines() if line.strip()]
    return all(is_markdown and _HEADING.match(line) for line in lines)


def _headings(text: str) -> Iterator[tuple[int, int, str]]:
    """Where each heading begins, its level and its words; what is in a code block is none."""
    offset, is_code = 0, False
    for line in text.splitlines(keepends=True):
        if _FENCE.match(line):
            is_code = not is_code
        elif not is_code and (found := _HEADING.match(line.rstrip("\r\n"))):
            yield offset, len(found[1]), found[2].strip()
        offset += len(line)


def _first(headings: list[tuple[int, int, str]]) -> str:
    return headings[0][2] if headings else ""


def _path(headings: list[tuple[int, int, str]], offset: int, text: str) -> list[str]:
    """The headings that a passage stands under: those before it, and those that it begins with."""
    begins = offset + len(text) - len(_without_headings(text))
    path: list[tuple[int, str]] = []
    for at, level, words in headings:
        if at >= max(begins, offset + 1):
            break
        path = [one for one in path if one[0] < level]
        path.append((level, words))
    return [words for _, words in path]


def _without_headings(text: str) -> str:
    """The passage behind the headings that it begins with."""
    rest = text
    while True:
        line, _, after = rest.partition("\n")
        if line.strip() and not _HEADING.match(line):
            return rest
        if not after:
            return ""
        rest = after
