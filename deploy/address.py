"""PURE: where our processes are reached, from this host and as people are told."""

from __future__ import annotations

EVERYWHERE = frozenset({"0.0.0.0", "::", "localhost"})
"""What stands for all addresses, or for a name of the loopback one."""


def url_of(host: str, port: int) -> str:
    """The base URL of an address; IPv6 ones get their brackets."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def local_url(host: str, port: int) -> str:
    """The base URL for who is on this host: a process that is bound to one address has no other.

    Args:
        host: that the process binds, such as `[service] host`.
    """
    return url_of("127.0.0.1" if host in EVERYWHERE else host, port)
