"""Bytes of a request body to one JSON object, strictly: what JSON leaves open is refused.

Knows no dialect.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from service.errors import InvalidValue, Malformed, WrongContentType

MAX_VALUES = 2**17
"""Values in one body: a hundred for each of a thousand documents, and 0.3 s of reading at worst.

Sixteen megabytes of `[],[],[]` or of names that nobody knows take half a minute otherwise, and the
gateway does nothing else meanwhile.
"""

_ESCAPED_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_CHARSET = re.compile(r"charset\s*=\s*\"?([^\s;\"]+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Body:
    """A JSON object and what had to be changed to read it."""

    fields: dict[str, object]
    warnings: tuple[str, ...] = ()


def check_content_type(content_type: str | None, content_encoding: str | None) -> None:
    """Refuse a body that is not declared as JSON in UTF-8.

    A missing type is refused too: browsers send such bodies across origins without asking.

    Raises:
        WrongContentType: it is not.
    """
    kind, _, rest = (content_type or "").partition(";")
    kind = kind.strip().lower()
    if kind != "application/json" and not (
        kind.startswith("application/") and kind.endswith("+json")
    ):
        raise WrongContentType("send the header `Content-Type: application/json`")
    charset = _CHARSET.search(rest)
    if charset is not None and charset.group(1).lower() not in ("utf-8", "utf8", "us-ascii"):
        raise WrongContentType("send JSON in UTF-8")
    if content_encoding not in (None, "", "identity"):
        raise WrongContentType("send the body without a content encoding")


def parse(body: bytes, max_values: int = MAX_VALUES) -> Body:
    """Read the body.

    Half a surrogate pair, which JavaScript leaves when it cuts a text, becomes U+FFFD and a
    warning: it is in a text, and the other texts are fine.

    Raises:
        Malformed: not UTF-8, not JSON (NaN and Infinity are not), a name twice in one object,
            nested too deeply, or not an object.
        InvalidValue: it holds more values than that.
    """
    _check_values(body, max_values)
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Malformed(f"the body is not UTF-8 (byte {error.start})") from error
    try:
        value = json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse_constant)
        if not isinstance(value, dict):
            raise Malformed("the body must be a JSON object")
        return _mended(value) if _ESCAPED_SURROGATE.search(body) else Body(value)
    except json.JSONDecodeError as error:
        raise Malformed(
            f"the body is not JSON: {error.msg} (line {error.lineno}, column {error.colno})"
        ) from error
    except RecursionError as error:
        raise Malformed("the body is nested too deeply") from error
    except ValueError as error:
        # what the json module itself raises here is about the digits of an integer
        raise Malformed("the body holds a number that is too long") from error


def _check_values(body: bytes, most: int) -> None:
    # a value takes two bytes at least, so that most bodies need no count
    if len(body) <= 2 * most or _openings(body) <= most:
        return
    # commas and brackets may be those of the texts: look at what is outside of them
    plain = body.replace(rb"\\", b"").replace(rb"\"", b"")
    strings = plain.count(b'"') // 2  # each a value, or the name of one
    if strings > 2 * most or _openings(b"".join(plain.split(b'"')[::2])) > most:
        raise InvalidValue(f"the body holds more than {most} values", param="body")


def _openings(body: bytes) -> int:
    """What stands before a value, one for each of them or a few less."""
    return body.count(b",") + body.count(b"[") + body.count(b"{")


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                shown = _SURROGATE.sub("\ufffd", name[:64])
                raise Malformed(f"the name {shown!r} is there twice", param=shown)
            seen.add(name)
    return fields


def _refuse_constant(name: str) -> object:
    raise Malformed(f"{name} is not JSON")


def _mended(value: dict[str, object]) -> Body:
    places: list[str] = []
    fields = _mend(value, "", places)
    assert isinstance(fields, dict)
    return Body(
        fields,
        tuple(f"{place} held half a surrogate pair, read as U+FFFD" for place in places),
    )


def _mend(value: object, place: str, places: list[str]) -> object:
    if isinstance(value, str):
        mended = _SURROGATE.sub("\ufffd", value)
        if mended != value:
            places.append(place)
        return mended
    if isinstance(value, list):
        return [_mend(one, f"{place}[{index}]", places) for index, one in enumerate(value)]
    if isinstance(value, dict):
        return {
            _SURROGATE.sub("\ufffd", name): _mend(one, f"{place}.{name}" if place else name, places)
            for name, one in value.items()
        }
    return value
