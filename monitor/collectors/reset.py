"""Resets a card between two looks at the cards, when no reader of ours has it open."""

from __future__ import annotations

import queue
import subprocess
from collections.abc import Callable, Sequence

from monitor.gpu import GpuRound
from monitor.inbox import Message, ResetEnded
from monitor.ports import GpuReader, RestingReader

_LIMIT_S = 60.0
_MAX_DETAIL = 200


class ResettingReader:
    """Implements `GpuReader` over another one; `ask` may be called by any thread."""

    def __init__(
        self, reader: RestingReader, command: Sequence[str], post: Callable[[Message], None]
    ) -> None:
        """Reset with this command; `{uuid}` in it is the card."""
        self._reader: GpuReader = reader
        self._rest = reader.rest
        self._command = tuple(command)
        self._post = post
        self._asked: queue.Queue[str] = queue.Queue(1)

    def ask(self, uuid: str) -> None:
        """Reset this card before the next look; returns at once."""
        try:
            self._asked.put_nowait(uuid)
        except queue.Full:
            self._post(ResetEnded(uuid, ok=False, detail="another reset waits"))

    def read(self) -> GpuRound:
        try:
            uuid = self._asked.get_nowait()
        except queue.Empty:
            return self._reader.read()
        self._rest()  # an open card cannot be reset
        self._post(self._reset(uuid))
        return self._reader.read()

    def close(self) -> None:
        self._reader.close()

    def _reset(self, uuid: str) -> ResetEnded:
        command = [word.replace("{uuid}", uuid) for word in self._command]
        try:
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=_LIMIT_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return ResetEnded(uuid, ok=False, detail=f"not done within {_LIMIT_S:.0f} s")
        except OSError as error:
            return ResetEnded(uuid, ok=False, detail=f"{command[0]}: {error.strerror}")
        said = " ".join(done.stdout.decode("utf-8", "replace").split())[-_MAX_DETAIL:]
        return ResetEnded(uuid, ok=done.returncode == 0, detail=said or f"exit {done.returncode}")
