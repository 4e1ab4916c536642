"""Tells systemd how the watchdog is (sd_notify(3)); does nothing where systemd did not ask."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Mapping


class Notifier:
    """One datagram per call to the socket in `NOTIFY_SOCKET`."""

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        address = (os.environ if environment is None else environment).get("NOTIFY_SOCKET", "")
        self._address = f"\0{address[1:]}" if address.startswith("@") else address

    def ready(self) -> None:
        self._send(b"READY=1")

    def alive(self) -> None:
        """Called by the loop itself at every tick, so that a loop that hangs is restarted."""
        self._send(b"WATCHDOG=1")

    def stopping(self) -> None:
        self._send(b"STOPPING=1")

    def _send(self, message: bytes) -> None:
        if not self._address:
            return
        with (
            contextlib.suppress(OSError),
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as unix,
        ):
            unix.settimeout(0.1)
            unix.sendto(message, self._address)
