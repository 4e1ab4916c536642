"""PURE: documents from what was typed or uploaded. What is wrong names file, line and field."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum

FIELD = "text"
"""The column or key that holds a document, as in the gateway's own bodies."""

MAX_BYTES = 16 * 2**20
"""The gateway's default limit of a body: a larger file could not be sent anyway."""


class Kind(str, Enum):
    """What is wrong with a file."""

    SUFFIX = "suffix"
    NOT_UTF8 = "not_utf8"
    TOO_LARGE = "too_large"
    NOT_JSON = "not_json"
    WRONG_TYPE = "wrong_type"
    MISSING = "missing"
    BLANK = "blank"
    NO_COLUMN = "no_column"
    FIELDS = "fields"
    NOT_CSV = "not_csv"
    TOO_MANY = "too_many"
    EMPTY = "empty"
    GONE = "gone"


@dataclass(eq=False)  # neither frozen nor slotted: Python itself sets an exception's traceback
class BadUpload(Exception):
    """A file that holds no list of documents; `words` says it in a language.

    Attributes:
        line: from 1; 0 when it is the whole file.
        detail: values that the sentence needs.
    """

    file: str
    kind: Kind
    line: int = 0
    detail: Mapping[str, object] = field(default_factory=dict)


def documents_of(typed: str) -> list[str]:
    """One document a line; blank lines are none."""
    return [clean(line).strip() for line in typed.split("\n") if line.strip()]


def clean(text: str) -> str:
    """Half a surrogate pair becomes U+FFFD: no UTF-8 can hold it."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def read_upload(name: str, raw: bytes, max_documents: int) -> list[str]:
    """The documents of a file: `.jsonl`, `.csv`, or `.txt` with one a line.

    Raises:
        BadUpload: it cannot be read; says where and why.
    """
    suffix = name.lower().rpartition(".")[2]
    readers = {"jsonl": _jsonl, "ndjson": _jsonl, "csv": _csv, "tsv": _csv, "txt": _lines}
    if suffix not in readers:
        raise BadUpload(name, Kind.SUFFIX)
    if len(raw) > MAX_BYTES:
        raise BadUpload(name, Kind.TOO_LARGE, detail={"mib": MAX_BYTES // 2**20})
    found: list[str] = []
    for line, text in readers[suffix](name, _decode(name, raw)):
        if len(found) == max_documents:
            raise BadUpload(name, Kind.TOO_MANY, line, {"limit": max_documents})
        found.append(clean(text))
    if not found:
        raise BadUpload(name, Kind.EMPTY)
    return found


def _decode(name: str, raw: bytes) -> str:
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadUpload(name, Kind.NOT_UTF8, raw.count(b"\n", 0, error.start) + 1) from None


def _lines(_name: str, text: str) -> Iterator[tuple[int, str]]:
    for line, words in enumerate(text.split("\n"), start=1):
        if words.strip():
            yield line, words.strip()


def _jsonl(name: str, text: str) -> Iterator[tuple[int, str]]:
    # not splitlines: it also cuts at U+2028, which JSON allows inside a string
    for line, words in enumerate(text.split("\n"), start=1):
        if not words.strip():
            continue
        try:
            item = json.loads(words)
        except (ValueError, RecursionError) as error:
            column = getattr(error, "colno", 1)
            raise BadUpload(name, Kind.NOT_JSON, line, {"column": column}) from None
        if isinstance(item, dict):
            if FIELD not in item:
                raise BadUpload(name, Kind.MISSING, line, {"field": FIELD})
            item = item[FIELD]
        if not isinstance(item, str):
            detail = {"field": FIELD, "found": _json_type(item)}
            raise BadUpload(name, Kind.WRONG_TYPE, line, detail)
        yield line, _not_blank(name, line, item)


def _csv(name: str, text: str) -> Iterator[tuple[int, str]]:
    # the default limit of a field, 128 KiB, is less than a long document
    csv.field_size_limit(MAX_BYTES)
    first = text.partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        header = [cell.strip() for cell in next(reader, [])]
        place = _column(name, header)
        began = reader.line_num + 1
        for cells in reader:
            line, began = began, reader.line_num + 1
            if not cells:
                continue
            if len(cells) != len(header):
                detail = {"found": len(cells), "wanted": len(header)}
                raise BadUpload(name, Kind.FIELDS, line, detail)
            yield line, _not_blank(name, line, cells[place])
    except csv.Error as error:
        raise BadUpload(name, Kind.NOT_CSV, reader.line_num, {"why": str(error)}) from None


def _column(name: str, header: list[str]) -> int:
    lowered = [cell.lower() for cell in header]
    if FIELD in lowered:
        return lowered.index(FIELD)
    raise BadUpload(
        name, Kind.NO_COLUMN, 1, {"field": FIELD, "columns": ", ".join(header)[:200] or "-"}
    )


def _not_blank(name: str, line: int, text: str) -> str:
    if not text.strip():
        raise BadUpload(name, Kind.BLANK, line, {"field": FIELD})
    return text


def _json_type(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true/false"
    return {int: "number", float: "number", list: "list", dict: "object"}[type(value)]
