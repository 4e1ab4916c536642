"""Bytes of a request body to one JSON object, strictly: what JSON leaves open is refused.

Knows no dialect.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from service.errors import Malformed, WrongContentType

MAX_DEPTH_MESSAGE = "the body is nested too deeply"

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


def parse(body: bytes) -> Body:
    """Read the body.

    Half a surrogate pair, which JavaScript leaves when it cuts a text, becomes U+FFFD and a
    warning: it is in a text, and the other texts are fine.

    Raises:
        Malformed: not UTF-8, not JSON (NaN and Infinity are not), a name twice in one object,
            nested too deeply, or not an object.
    """
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Malformed(f"the body is not UTF-8 (byte {error.start})") from error
    try:
        value = json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        raise Malformed(
            f"the body is not JSON: {error.msg} (line {error.lineno}, column {error.colno})"
        ) from error
    except RecursionError as error:
        raise Malformed(MAX_DEPTH_MESSAGE) from error
    except ValueError as error:
        # what the json module itself raises here is about the digits of an integer
        raise Malformed("the body holds a number that is too long") from error
    if not isinstance(value, dict):
        raise Malformed("the body must be a JSON object")
    if not _ESCAPED_SURROGATE.search(body):
        return Body(value)
    return _mended(value)


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise Malformed(f"the name {name[:64]!r} is there twice", param=name[:64])
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
