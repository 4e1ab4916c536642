"""The holding process from outside: started, told what to hold, killed."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
from types import TracebackType

from typing_extensions import Self

from deploy.gpu.part import Skip

_LIMIT_S = 60.0
"""The first context on a card without persistence mode takes seconds."""


class Holder:
    """One `deploy.gpu.hold` on one card; a context manager that ends it."""

    def __init__(self, gpu_uuid: str) -> None:
        """Start it and wait for its context.

        Raises:
            Skip: there is no CUDA here, or no room for a context.
        """
        self._process = subprocess.Popen(
            [sys.executable, "-m", "deploy.gpu.hold", str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            env={**os.environ, "CUDA_VISIBLE_DEVICES": gpu_uuid},
        )
        self._heard()

    @property
    def pid(self) -> int:
        return self._process.pid

    def allocate(self, size: int) -> None:
        self._tell(f"alloc {size}")

    def free(self) -> None:
        self._tell("free")

    def kill(self) -> None:
        """SIGKILL, and wait: what it held is the driver's to give back."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait(_LIMIT_S)

    def _tell(self, line: str) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(line.encode() + b"\n")
        except OSError as error:
            raise Skip(f"the process that holds memory ended: {error}") from None
        self._heard()

    def _heard(self) -> None:
        assert self._process.stdout is not None
        ready = select.select([self._process.stdout], [], [], _LIMIT_S)[0]
        answer = self._process.stdout.readline().decode().strip() if ready else ""
        if answer != "ok":
            self.close()
            raise Skip(f"CUDA: {answer or f'no answer within {_LIMIT_S:g} s'}")

    def close(self) -> None:
        self._process.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_LIMIT_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
