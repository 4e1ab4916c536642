"""PURE: which outgoing URLs and addresses are allowed.

A webhook URL may come from a command or a form; it must not reach a metadata service or another
port of this host unless the operator says so.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection
from urllib.parse import urlsplit


class AddressError(ValueError):
    """The URL or the address that it resolves to is not allowed. Never shows the URL's path."""


def check_url(url: str, *, allow_insecure: bool, allow_hosts: Collection[str] = ()) -> None:
    """Check what can be seen without asking the resolver.

    Args:
        allow_insecure: http and private addresses may be used.
        allow_hosts: when not empty, the only host names that may be used.

    Raises:
        AddressError: not allowed.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"}:
        raise AddressError("the URL must begin with https://")
    host = parts.hostname
    if not host:
        raise AddressError("the URL has no host")
    if parts.scheme == "http" and not allow_insecure:
        raise AddressError(f"{host}: http needs allow_insecure = true")
    if allow_hosts and host.lower() not in {each.lower() for each in allow_hosts}:
        raise AddressError(f"{host} is not among allow_hosts")
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return
    check_ip(host, allow_insecure=allow_insecure)


def check_ip(address: str, *, allow_insecure: bool) -> None:
    """Check the address that a connection is about to be made to.

    Raises:
        AddressError: it is not a public address and `allow_insecure` is false.
    """
    if allow_insecure:
        return
    ip = ipaddress.ip_address(address.partition("%")[0])
    mapped = getattr(ip, "ipv4_mapped", None)
    if mapped is not None:
        ip = mapped
    if not ip.is_global or ip.is_multicast:
        raise AddressError(f"{address} is not a public address; it needs allow_insecure = true")
