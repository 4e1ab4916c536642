"""Asking our own processes over HTTP, with errors as sentences. For commands only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import requests

_TIMEOUT_S = (2.0, 60.0)


_OPERATOR = {"X-Rankguard-Operator": "cli"}
_STATUS_S = (2.0, 5.0)
_ORDER_S = (2.0, 10.0)


class Unreachable(Exception):
    """Nobody answers, or not as expected; the message is for the terminal."""


def call(method: str, url: str, **options: Any) -> Any:
    """The JSON body of a 2xx answer.

    Raises:
        Unreachable: no answer, or another status; carries the server's own words.
    """
    timeout = options.pop("timeout", _TIMEOUT_S)
    try:
        response = requests.request(method, url, allow_redirects=False, timeout=timeout, **options)
    except requests.ConnectionError:
        raise Unreachable(f"nothing listens at {url}; is it running? (rankguard up)") from None
    except requests.Timeout:
        raise Unreachable(f"{url} does not answer in time") from None
    try:
        body = response.json()
    except ValueError:
        body = None
    if not response.ok:
        said = body.get("error") if isinstance(body, dict) else None
        words = said.get("message", said) if isinstance(said, dict) else said or response.reason
        raise Unreachable(f"{response.status_code}: {words}")
    return body


def status(url: str) -> Any:
    """A watchdog's `/status`; raises Unreachable.

    Args:
        url: the watchdog's base URL.
    """
    return call("GET", f"{url}/status", timeout=_STATUS_S)


def order(url: str, path: str, body: Mapping[str, Any] | None = None) -> str:
    """An operator's command to a watchdog; what it says to it. Raises Unreachable.

    Args:
        path: below `/api/`.
    """
    answer = call(
        "POST", f"{url}/api/{path}", json=dict(body or {}), headers=_OPERATOR, timeout=_ORDER_S
    )
    return str(answer.get("message", "done")) if isinstance(answer, dict) else "done"
