"""A wall clock that a row of the suite may set, for the processes of one stack."""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path

SOURCE = Path(__file__).with_name("wall_clock.c")


class WallClock:
    def __init__(self, folder: Path) -> None:
        self._library = folder / "wall_clock.so"
        self._offset = folder / "wall_clock"
        self._offset.write_bytes(struct.pack("d", 0.0))
        subprocess.run(
            ["gcc", "-shared", "-fPIC", "-o", str(self._library), str(SOURCE), "-ldl"], check=True
        )

    @property
    def environment(self) -> dict[str, str]:
        return {"LD_PRELOAD": str(self._library), "FAKE_CLOCK": str(self._offset)}

    def set_by(self, seconds: float) -> None:
        """Shift it against the true time, from now on and for all processes at once."""
        with self._offset.open("r+b") as file:
            file.write(struct.pack("d", seconds))
