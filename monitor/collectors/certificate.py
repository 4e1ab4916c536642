"""The certificates in front of this host as a client sees them: chain, name and date checked."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Sequence
from pathlib import Path

from monitor.certificate import Certificate

_TIMEOUT_S = 5.0


class CertificateReader:
    """Shakes hands with every address as a client would, and goes away."""

    def __init__(self, targets: Sequence[str], ca_file: Path | None = None) -> None:
        """Prepare.

        Args:
            targets: `host:port` each; the host is the name that the certificate must carry.
            ca_file: an authority of your own, in PEM; None: the system's.
        """
        self._targets = tuple(targets)
        self._ca_file = ca_file

    def read(self) -> tuple[Certificate, ...]:
        """Takes at most five seconds an address; every failure is a value."""
        return tuple(self._look(target) for target in self._targets)

    def _look(self, target: str) -> Certificate:
        host, _, port = target.rpartition(":")
        host = host.strip("[]")
        try:
            context = ssl.create_default_context(cafile=self._ca_file)
            with (
                socket.create_connection((host, int(port)), timeout=_TIMEOUT_S) as plain,
                context.wrap_socket(plain, server_hostname=host) as secured,
            ):
                shown = secured.getpeercert() or {}
        except ssl.SSLCertVerificationError as error:
            return Certificate(target, None, error.verify_message)
        except (OSError, ValueError) as error:
            return Certificate(target, None, str(error) or type(error).__name__)
        until = str(shown.get("notAfter", ""))
        return Certificate(target, ssl.cert_time_to_seconds(until))
