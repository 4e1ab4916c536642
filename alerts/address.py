"""PURE: which outgoing URLs and addresses are allowed.

A webhook URL may come from a command or a form; it must not reach a metadata service or another
port of this host unless the operator says so.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection
from urllib.parse import urlsplit

_STRANGE = re.compile(r"[\\\s\x00-\x1f\x7f]")

_CARRIERS = tuple(
    ipaddress.IPv6Network(text) for text in ("64:ff9b::/96", "::ffff:0:0:0/96", "::/96")
)
"""NAT64 (RFC 6052), translated (RFC 2765) and compatible addresses: an IPv4 one at the end."""

_INSIDE = tuple(ipaddress.IPv6Network(text) for text in ("64:ff9b:1::/48", "fec0::/10"))
"""NAT64 of a site's own (RFC 8215) and site-local: older Pythons take them for public."""


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
    if _STRANGE.search(url):
        # two readers of such a URL may see two hosts in it
        raise AddressError("the URL holds a backslash, a space or a control character")
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
    ip = _inner(ipaddress.ip_address(address.partition("%")[0]))
    if not ip.is_global or ip.is_multicast or any(ip in network for network in _INSIDE):
        raise AddressError(f"{address} is not a public address; it needs allow_insecure = true")


def _inner(
    ip: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """The IPv4 address that an IPv6 one leads to, when it carries one; else itself."""
    if isinstance(ip, ipaddress.IPv4Address):
        return ip
    inner = ip.ipv4_mapped or ip.sixtofour
    if inner is None and any(ip in network for network in _CARRIERS):
        inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    return inner or ip
