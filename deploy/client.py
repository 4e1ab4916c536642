"""Asking our own processes over HTTP, with errors as sentences. For commands only."""

from __future__ import annotations

from typing import Any

import requests

_TIMEOUT_S = (2.0, 60.0)


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
