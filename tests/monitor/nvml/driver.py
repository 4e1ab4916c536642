"""The fake driver: one C library built once, and one text file that says how it behaves."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

SOURCE = Path(__file__).with_name("fake_nvml.c")


class FakeDriver:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.script = folder / "driver.txt"
        self.say("count 2")

    def say(self, *lines: str) -> None:
        temporary = self.script.with_suffix(".new")
        temporary.write_text("".join(f"{line}\n" for line in lines))
        temporary.replace(self.script)

    def build(self) -> None:
        subprocess.run(
            ["gcc", "-shared", "-fPIC", "-o", str(self.folder / "libnvidia-ml.so.1"), str(SOURCE)],
            check=True,
        )

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "LD_LIBRARY_PATH": str(self.folder), "FAKE_NVML": str(self.script)}


def compiler_is_there() -> bool:
    return shutil.which("gcc") is not None
