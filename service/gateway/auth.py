"""API keys: `name:sha256-hex` lines in a file that may change at any time."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import logging
import string
import time
from collections.abc import Callable
from pathlib import Path

from service.errors import Unauthorized

logger = logging.getLogger(__name__)

LOOK_EVERY_S = 1.0
HEX_DIGITS = 64


class BadKeysFile(Exception):
    """The file cannot be used; says which line, never what is in it."""


def is_loopback(host: str) -> bool:
    """Whether a bind to `host` is reachable from this machine only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def read_keys(path: Path) -> dict[str, bytes]:
    """Name -> SHA-256 digest of the key. Empty lines and lines that begin with # are left out.

    Raises:
        BadKeysFile: it cannot be read, holds no key, or a line is not `name:sha256-hex`.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise BadKeysFile(f"cannot read the API keys file {path}: {why}") from error
    keys: dict[str, bytes] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        entry = line.strip()
        if not entry or entry.startswith("#"):
            continue
        name, _, digest = (part.strip() for part in entry.partition(":"))
        if not name or len(digest) != HEX_DIGITS or not set(digest) <= set(string.hexdigits):
            raise BadKeysFile(f"{path}, line {number}: want name:sha256-hex")
        if name in keys:
            raise BadKeysFile(f"{path}, line {number}: the name is used twice")
        keys[name] = bytes.fromhex(digest)
    if not keys:
        raise BadKeysFile(f"{path} holds no key")
    return keys


class Keys:
    """The keys in force. A file that became unusable leaves the last good ones in force."""

    def __init__(self, path: Path | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._clock = clock
        self._keys: dict[str, bytes] = {}
        self._looked_at = clock()
        self._mark: tuple[int, int, int] | None = None
        if path is not None:
            self._mark = _mark(path)
            self._keys = read_keys(path)

    @property
    def required(self) -> bool:
        return self._path is not None

    def name_of(self, authorization: str | None) -> str:
        """The name of the key in an `Authorization` header; empty when no keys are in force.

        Raises:
            Unauthorized: no key, or not one of ours.
        """
        if self._path is None:
            return ""
        self._look_again(self._path)
        scheme, _, key = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not key.strip():
            raise Unauthorized("send an API key: `Authorization: Bearer <key>`")
        digest = hashlib.sha256(key.strip().encode("utf-8", "surrogateescape")).digest()
        found = ""
        for name, known in self._keys.items():
            # no early end: the time taken does not tell which key came near
            if hmac.compare_digest(digest, known):
                found = name
        if not found:
            raise Unauthorized("this API key is not known")
        return found

    def _look_again(self, path: Path) -> None:
        now = self._clock()
        if now - self._looked_at < LOOK_EVERY_S:
            return
        self._looked_at = now
        mark = _mark(path)
        if mark == self._mark:
            return
        self._mark = mark
        try:
            self._keys = read_keys(path)
        except BadKeysFile as error:
            logger.warning("API keys file unusable; the last stay", extra={"error": str(error)})
        else:
            logger.info("API keys read again", extra={"keys": len(self._keys)})


def _mark(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
