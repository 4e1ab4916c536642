"""What a caller's shell brings along and must not spoil: proxies, and a terminal without UTF-8."""

from __future__ import annotations

import io
from collections.abc import Iterable, MutableMapping
from typing import TextIO

LOOPBACK = ("localhost", "127.0.0.1", "::1")
_NAMES = ("no_proxy", "NO_PROXY")


def reach_loopback_directly(environ: MutableMapping[str, str]) -> None:
    """No proxy for this host's own ports: a proxy would ask itself.

    For this process and its children, whatever library they use. Without a proxy nothing is set.
    """
    if not any(value for name, value in environ.items() if name.lower().endswith("_proxy")):
        return
    given = next((environ[name] for name in _NAMES if environ.get(name)), "")
    hosts = [host for host in (part.strip() for part in given.split(",")) if host]
    if "*" in hosts:
        return
    hosts += [host for host in LOOPBACK if host not in hosts]
    for name in _NAMES:
        environ[name] = ",".join(hosts)


def print_in_any_locale(streams: Iterable[TextIO]) -> None:
    """What a terminal cannot show becomes `?`; files and pipes get UTF-8."""
    for stream in streams:
        if not isinstance(stream, io.TextIOWrapper) or stream.encoding.lower() == "utf-8":
            continue
        if stream.isatty():
            stream.reconfigure(errors="replace")
        else:
            stream.reconfigure(encoding="utf-8")
