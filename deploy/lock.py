"""The state directory's locks: holding the one of `up`, and whether another process holds one."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path


class AlreadyRunning(Exception):
    """Another `up` holds this state directory; carries its pid."""


class CannotHold(Exception):
    """The lock cannot be made, as on a full disk; says why."""


@contextlib.contextmanager
def hold(state_dir: Path) -> Iterator[None]:
    """Hold the state directory for one `up`.

    Raises:
        AlreadyRunning: another process holds it.
        CannotHold: the lock cannot be made.
    """
    path = state_dir / "up.lock"
    try:
        lock = path.open("a+", encoding="ascii")
    except OSError as error:
        raise CannotHold(f"{path} cannot be written: {error.strerror}") from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise AlreadyRunning(lock.read().strip() or "unknown") from None
        with contextlib.suppress(OSError):  # a full disk: who asks does not learn the pid
            os.ftruncate(lock.fileno(), 0)
            os.write(lock.fileno(), str(os.getpid()).encode())
        yield


def is_held(path: Path) -> bool:
    """Whether a process holds the file with flock; one that is not there is held by nobody."""
    if not path.exists():
        return False
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False
