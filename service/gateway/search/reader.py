"""The texts of a folder, one after the other: Markdown, plain text, HTML, JSONL.

Never leaves the folder: symbolic links are not followed, neither to files nor to folders, and what
is no regular file is not opened for reading.
"""

from __future__ import annotations

import io
import json
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from service.gateway.search import markup
from service.gateway.search.cut import Source

MARKDOWN = frozenset({".md", ".markdown", ".mdx"})
TEXT = frozenset({".txt", ".text", ".rst", ".adoc", ".org"})
HTML = frozenset({".html", ".htm", ".xhtml"})
JSONL = frozenset({".jsonl", ".ndjson"})

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_UNFIT = re.compile("[\x00\ud800-\udfff]")
_ID_FIELDS = ("id", "_id", "url")


@dataclass(frozen=True, slots=True)
class Skipped:
    """What was not read, and why in words."""

    name: str
    why: str


class Reader:
    """Reads a folder under limits."""

    def __init__(self, *, max_file_bytes: int) -> None:
        """Make one.

        Args:
            max_file_bytes: of one file, or of one line of a JSONL file; larger ones are skipped.
        """
        self._max_bytes = max_file_bytes

    def read(self, folder: Path) -> Iterator[Source | Skipped]:
        """Everything in the folder that is a text, in the order of paths; hidden files are not.

        Raises:
            OSError: the folder itself cannot be read.
        """
        root = folder.resolve(strict=True)
        with os.scandir(root):
            pass  # os.fwalk would take a folder that cannot be read for an empty one
        for path, folders, files, descriptor in os.fwalk(root, follow_symlinks=False):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            for name in sorted(files):
                where = Path(path, name).relative_to(root).as_posix()
                if not name.startswith(".") and _suffix(name) in MARKDOWN | TEXT | HTML | JSONL:
                    yield from self._file(str(root), where, name, descriptor)

    def _file(
        self, folder: str, where: str, name: str, descriptor: int
    ) -> Iterator[Source | Skipped]:
        if not _is_text(where):
            yield Skipped(where.encode("utf-8", "replace").decode(), "its name is no plain text")
            return
        try:
            # not blocking: opening a pipe that nobody writes to would wait for ever
            opened = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=descriptor)
        except OSError as error:
            # ELOOP is what O_NOFOLLOW says to a link; anything else is said as it is
            is_link = stat.S_ISLNK(os.lstat(name, dir_fd=descriptor).st_mode)
            yield Skipped(where, "a symbolic link" if is_link else error.strerror or "unreadable")
            return
        with os.fdopen(opened, "rb") as file:
            if not stat.S_ISREG(os.fstat(opened).st_mode):
                yield Skipped(where, "not a regular file")
            elif _suffix(name) in JSONL:
                yield from self._records(folder, where, file)
            else:
                yield self._text(folder, where, file)

    def _text(self, folder: str, where: str, file: BinaryIO) -> Source | Skipped:
        try:
            content = file.read(self._max_bytes + 1)
        except OSError as error:
            return Skipped(where, error.strerror or "unreadable")
        if len(content) > self._max_bytes:
            return Skipped(where, f"larger than {self._max_bytes} bytes")
        text = _decoded(content)
        if text is None:
            return Skipped(where, "not UTF-8 text")
        title = ""
        if _suffix(where) in HTML:
            title, text = markup.plain(text)
        if not text.strip():
            return Skipped(where, "empty")
        is_markdown = _suffix(where) in MARKDOWN | HTML
        return Source(folder, where, title, text, is_markdown, stem=Path(where).stem)

    def _records(self, folder: str, where: str, file: BinaryIO) -> Iterator[Source | Skipped]:
        number = 0
        for number, line in enumerate(self._lines(file), start=1):
            place = f"{where}:{number}"
            if line is None:
                yield Skipped(place, f"larger than {self._max_bytes} bytes")
            elif line.strip():
                yield _record(folder, where, place, number, line)
        if not number:
            yield Skipped(where, "empty")

    def _lines(self, file: BinaryIO) -> Iterator[bytes | None]:
        """The file's lines; None for one that is too long, which is never held as a whole."""
        buffered = io.BufferedReader(file.raw) if isinstance(file, io.BufferedReader) else file
        while line := buffered.readline(self._max_bytes + 1):
            if len(line) <= self._max_bytes or line.endswith(b"\n"):
                yield line
                continue
            while (rest := buffered.readline(self._max_bytes)) and not rest.endswith(b"\n"):
                pass
            yield None


def _record(folder: str, where: str, place: str, number: int, line: bytes) -> Source | Skipped:
    text = _decoded(line)
    if text is None:
        return Skipped(place, "not UTF-8 text")
    try:
        item = json.loads(text)
    except (ValueError, RecursionError):
        return Skipped(place, "not JSON")
    if isinstance(item, str):
        item = {"text": item}
    if not isinstance(item, dict) or not isinstance(item.get("text"), str):
        return Skipped(place, "neither a string nor an object with `text`")
    if not item["text"].strip():
        return Skipped(place, "empty")
    named = (item[name] for name in _ID_FIELDS if isinstance(item.get(name), str | int))
    title = item["title"] if isinstance(item.get("title"), str) else ""
    name = f"{where}#{next(named, number)}"
    if not _is_text(name):
        return Skipped(place, "its id is no plain text")
    return Source(folder, name, _mended(title), _mended(item["text"]), is_markdown=False)


def _mended(text: str) -> str:
    """JSON may spell half a surrogate pair and NUL, which no store takes."""
    return _UNFIT.sub("\ufffd", text)


def _is_text(name: str) -> bool:
    """Python reads a name that is no UTF-8 into half surrogates, which no store takes.

    Nor does a query language take control characters in a string.
    """
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return _CONTROL.search(name) is None


def _decoded(content: bytes) -> str | None:
    """The text, or None when it is none; a byte order mark is not part of it."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else text


def _suffix(name: str) -> str:
    return os.path.splitext(name)[1].lower()  # noqa: PTH122 - a name, not a path
