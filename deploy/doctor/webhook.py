"""Whether the receivers of alerts can be reached: a connection and its TLS, never a message."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from alerts.settings import AlertSettings
from deploy.doctor.finding import Finding, ok, warn

LIMIT_S = 5.0
_PORTS = {"https": 443, "http": 80}


def check_webhooks(settings: AlertSettings) -> list[Finding]:
    """One finding per receiver with a URL; shows host and port, since a path may be a secret."""
    findings = []
    for name, url, ca_file in addresses(settings):
        parts = urlsplit(url)
        port = parts.port or _PORTS.get(parts.scheme, 443)
        findings.append(reach(name, parts.hostname or "", port, parts.scheme == "https", ca_file))
    return findings


def addresses(settings: AlertSettings) -> Iterator[tuple[str, str, Path | None]]:
    """Name, URL and CA file of every receiver that has a URL; reads the files of secret ones."""
    for receiver in settings.receivers:
        urls = list(getattr(receiver, "urls", ()))
        urls.append(getattr(receiver, "url", ""))
        file = getattr(receiver, "url_file", None)
        if file is not None and receiver.type != "apprise":
            try:
                urls.append(file.read_text("utf-8").strip())
            except OSError:
                continue  # `check_secrets` reports it
        for url in filter(None, urls):
            yield f"receiver {receiver.name}", url, getattr(receiver, "ca_file", None)


def reach(name: str, host: str, port: int, tls: bool, ca_file: Path | None) -> Finding:
    """Connect, and shake hands where TLS is wanted."""
    place = f"{host}:{port}"
    try:
        with socket.create_connection((host, port), timeout=LIMIT_S) as plain:
            if tls:
                context = ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
                context.wrap_socket(plain, server_hostname=host).close()
    except ssl.SSLError as error:
        return warn(name, f"{place}: TLS: {error.reason}", "ca_file for a private authority")
    except OSError as error:
        fix = "firewall, DNS or proxy: alerts wait in the outbox until it can be reached"
        return warn(name, f"{place}: {error.strerror or error}", fix)
    return ok(name, f"{place} can be reached")
