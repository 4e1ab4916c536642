"""The settings as they may be shown: a URL that is its own secret shows its host only."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel

from alerts.settings import AlertSettings

HIDDEN = "***"

_OPEN = frozenset({"pagerduty", "telegram"})
"""Kinds whose URL is the vendor's own and the same for everybody."""


def masked(settings: AlertSettings) -> AlertSettings:
    """A copy without tokens in URLs, passwords of proxies and values of headers."""
    return settings.model_copy(
        update={
            "receivers": tuple(_masked(each) for each in settings.receivers),
            "heartbeat": _masked(settings.heartbeat),
        }
    )


def _masked(item: BaseModel) -> Any:
    found: dict[str, object] = {}
    url, proxy = getattr(item, "url", ""), getattr(item, "proxy", "")
    if url:
        found["url"] = host_of(url, path=getattr(item, "type", "") in _OPEN)
    if proxy:
        found["proxy"] = host_of(proxy, path=True)
    if urls := getattr(item, "urls", ()):
        found["urls"] = tuple(host_of(each, path=True) for each in urls)
    if headers := getattr(item, "headers", {}):
        found["headers"] = dict.fromkeys(headers, HIDDEN)
    return item.model_copy(update=found)


def host_of(url: str, *, path: bool) -> str:
    """Scheme and host of a URL, without name and password; with its path only when asked for."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return HIDDEN
    host = parts.netloc.rpartition("@")[2]
    rest = parts.path if path else ""
    hidden = HIDDEN if parts.query or (parts.path.strip("/") and not path) else ""
    return f"{parts.scheme}://{host}{rest or ('/' if hidden else '')}{hidden}"
