"""Silences and acknowledgements over the watchdog's HTTP: from paths and bodies to the desk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from http import HTTPStatus
from typing import Any

from alerts.desk import Desk, SilenceRequest
from alerts.orders import TooManySilences
from alerts.silence import Silence, parse_duration

Answer = tuple[HTTPStatus, dict[str, Any]]

_MAX_TEXT = 500


def read(desk: Desk | None, parts: Sequence[str]) -> Answer:
    """Answer a GET below `/api`: `silences`."""
    if desk is None:
        return _no_receivers()
    if list(parts) != ["silences"]:
        return HTTPStatus.NOT_FOUND, {"error": "no such page"}
    silences = [_silence(silence) for silence in desk.silences()]
    return HTTPStatus.OK, {"silences": silences}


def order(desk: Desk | None, parts: Sequence[str], body: dict[str, Any]) -> Answer:
    """Answer a POST below `/api`.

    `silences` adds one: `{matchers: ["host=gpu-1"], duration: "2h", author, comment, maintenance}`.
    `silences/<id>/expire` ends one. `incidents/<number>/ack` takes one: `{author, comment}`.
    """
    if desk is None:
        return _no_receivers()
    try:
        return _carry_out(desk, tuple(parts), body)
    except ValueError as error:  # matchers and silences that cannot be accepted are such
        return HTTPStatus.BAD_REQUEST, {"error": str(error)}
    except TooManySilences as error:
        return HTTPStatus.TOO_MANY_REQUESTS, {"error": str(error)}


def _carry_out(desk: Desk, parts: tuple[str, ...], body: dict[str, Any]) -> Answer:
    if parts == ("silences",):
        return _add(desk, body)
    if len(parts) == 3 and (parts[0], parts[2]) == ("silences", "expire"):
        return _expire(desk, parts[1])
    if len(parts) == 3 and (parts[0], parts[2]) == ("incidents", "ack"):
        return _take(desk, parts[1], body)
    return HTTPStatus.NOT_FOUND, {"error": "no such command"}


def _add(desk: Desk, body: dict[str, Any]) -> Answer:
    matchers = body.get("matchers", [])
    if not isinstance(matchers, list) or not all(isinstance(item, str) for item in matchers):
        raise ValueError("matchers must be a list of strings such as host=gpu-1")
    made = desk.silence(
        SilenceRequest(
            matchers=matchers,
            duration_s=parse_duration(_text(body, "duration")),
            author=_text(body, "author"),
            comment=_text(body, "comment"),
            maintenance=body.get("maintenance") is True,
        )
    )
    return HTTPStatus.CREATED, {"silence": _silence(made)}


def _expire(desk: Desk, silence_id: str) -> Answer:
    if not desk.expire_silence(silence_id):
        return HTTPStatus.NOT_FOUND, {"error": f"no silence {silence_id!r}"}
    return HTTPStatus.OK, {"message": f"{silence_id}: ended"}


def _take(desk: Desk, number: str, body: dict[str, Any]) -> Answer:
    if not number.isdigit():
        raise ValueError("the incident must be a number")
    taken = desk.acknowledge(
        author=_text(body, "author"),
        comment=_text(body, "comment", needed=False),
        incident=int(number),
    )
    if not taken:
        return HTTPStatus.NOT_FOUND, {"error": f"incident {number} does not fire"}
    return HTTPStatus.OK, {"acknowledged": [alert.name for alert in taken]}


def _text(body: dict[str, Any], name: str, *, needed: bool = True) -> str:
    value = body.get(name, "")
    if not isinstance(value, str) or (needed and not value.strip()):
        raise ValueError(f"{name} must be a text")
    return value[:_MAX_TEXT]


def _silence(silence: Silence) -> dict[str, Any]:
    return {**asdict(silence), "matchers": [str(matcher) for matcher in silence.matchers]}


def _no_receivers() -> Answer:
    return HTTPStatus.NOT_FOUND, {"error": "no alert receivers are configured"}
