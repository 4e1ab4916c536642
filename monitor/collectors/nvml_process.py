"""A reader process from the outside: what it is asked, its lines with a deadline, and its end."""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from typing import Any

_MAX_LINE = 1_000_000


class Silent(Exception):
    """The reader did not answer in time; `uuid` is the card it was at, or empty."""

    def __init__(self, uuid: str) -> None:
        super().__init__(uuid)
        self.uuid = uuid


class Gone(Exception):
    """The reader ended."""


class ReaderProcess:
    """One reader process and its lines."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "monitor.collectors.nvml_child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=dict(environment),
            bufsize=0,
        )
        self._buffer = b""
        self.greeted = False
        self.asked = False

    def ask(self, request: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
        except OSError as error:
            raise Gone from error
        self.asked = True

    def lines(self, deadline: float) -> Iterator[dict[str, Any]]:
        """Lines as they come; raises Silent after the deadline, Gone at the end."""
        assert self._process.stdout is not None
        descriptor = self._process.stdout.fileno()
        at = ""
        while True:
            line, separator, rest = self._buffer.partition(b"\n")
            if separator:
                self._buffer = rest
                body = json.loads(line)
                if body.get("t") == "begin":
                    at = str(body["uuid"])
                else:
                    yield body
                continue
            wait_s = deadline - time.monotonic()
            if wait_s <= 0 or not select.select([descriptor], [], [], wait_s)[0]:
                raise Silent(at)
            chunk = os.read(descriptor, 65536)
            if not chunk or len(self._buffer) > _MAX_LINE:
                raise Gone
            self._buffer += chunk

    def end(self) -> bool:
        """Kill it; False when it did not end by that, and is left behind."""
        self._process.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        try:
            self._process.wait(timeout=0.3)
        except subprocess.TimeoutExpired:
            return False
        return True

    def has_ended(self) -> bool:
        return self._process.poll() is not None

    def leave(self) -> None:
        """Nobody will wait for it any more."""
        if not self.has_ended():
            self._process.returncode = -9
