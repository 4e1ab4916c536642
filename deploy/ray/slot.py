"""A name for a replica on its host: `replica-0`, `replica-1` and so on, the lowest that is free.

The watchdog of the host looks for replicas under these names. Whoever holds the lock has the name;
the kernel gives it back however the process ends.
"""

from __future__ import annotations

import fcntl
import os
from dataclasses import dataclass
from pathlib import Path

SLOTS = 64
"""As many replicas as the watchdog can watch on a host."""


class NoSlot(Exception):
    """Every name is taken, or the state directory cannot be written."""


@dataclass(frozen=True, slots=True)
class Slot:
    """A held name; `release` gives it back."""

    id: str
    lock: int

    def release(self) -> None:
        os.close(self.lock)


def claim(state_dir: Path) -> Slot:
    """The lowest free name on this host.

    Raises:
        NoSlot: there is none.
    """
    folder = state_dir / "slots"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for number in range(SLOTS):
            lock = os.open(folder / f"replica-{number}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(lock)
                continue
            return Slot(f"replica-{number}", lock)
    except OSError as error:
        raise NoSlot(f"{folder} cannot be written: {error.strerror}") from error
    raise NoSlot(f"{SLOTS} replicas run on this host already")
