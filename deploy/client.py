"""Asking our own processes over HTTP, with errors as sentences. For commands only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import requests
from urllib3.exceptions import NameResolutionError

_TIMEOUT_S = (2.0, 60.0)
_OPERATOR = {"X-Rankguard-Operator": "cli"}
_STATUS_S = (2.0, 5.0)
_ORDER_S = (2.0, 10.0)


class Unreachable(Exception):
    """Nobody answers, or not as expected; the message is for the terminal."""


class Refused(Unreachable):
    """It answered with another status than 2xx: what was asked for is not done."""


def call(method: str, url: str, *, ours: bool = False, **options: Any) -> Any:
    """The JSON body of a 2xx answer.

    Args:
        ours: a process of our own, which no proxy of the environment stands before.

    Raises:
        Unreachable: no answer. Refused: another status; carries the server's own words.
    """
    options = {"timeout": _TIMEOUT_S, "allow_redirects": False, **options}
    try:
        with requests.Session() as session:
            session.trust_env = not ours
            response = session.request(method, url, **options)
    except requests.ConnectionError as error:
        why = getattr(error.args[0] if error.args else None, "reason", None)
        if isinstance(why, NameResolutionError):
            raise Unreachable(f"{url}: there is no host of this name") from None
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
        raise Refused(f"{response.status_code}: {words}")
    return body


def status(url: str) -> Any:
    """A watchdog's `/status`; raises Unreachable.

    Args:
        url: the watchdog's base URL.
    """
    return call("GET", f"{url}/status", ours=True, timeout=_STATUS_S)


def order(url: str, path: str, body: Mapping[str, Any] | None = None) -> str:
    """An operator's command to a watchdog; what it says to it. Raises Unreachable.

    Args:
        path: below `/api/`.
    """
    answer = call(
        "POST",
        f"{url}/api/{path}",
        ours=True,
        json=dict(body or {}),
        headers=_OPERATOR,
        timeout=_ORDER_S,
    )
    return str(answer.get("message", "done")) if isinstance(answer, dict) else "done"
