"""A host with fake cards: driver libraries and `nvidia-smi` of our own in one folder.

`python -m tests.gpu.fake ARGUMENT...` runs `python -m deploy.gpu ARGUMENT...` on such a host.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.monitor.nvml.driver import FakeDriver

CUDA = Path(__file__).with_name("fake_cuda.c")
ROOT = Path(__file__).parents[2]


class FakeHost:
    """The driver's script decides what the cards say; see `fake_nvml.c` and `fake_smi.py`."""

    def __init__(self, folder: Path, cards: int = 2) -> None:
        self.folder = folder
        self.holders = folder / "holders"
        self.cards = cards
        self.driver = FakeDriver(folder)

    def build(self) -> None:
        self.driver.build()
        self.holders.mkdir()
        library = self.folder / "libcuda.so.1"
        subprocess.run(["gcc", "-shared", "-fPIC", "-o", str(library), str(CUDA)], check=True)
        smi = self.folder / "nvidia-smi"
        smi.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m tests.gpu.fake_smi "$@"\n')
        smi.chmod(0o755)
        self.say()

    def say(self, *lines: str) -> None:
        """What is different from two healthy idle cards; lines of the driver's script."""
        idle = [
            f"set {card} {name} 0" for card in range(self.cards) for name in ("used", "utilization")
        ]
        self.driver.say(f"count {self.cards}", f"holders {self.holders}", *idle, *lines)

    @property
    def environment(self) -> dict[str, str]:
        return {
            **self.driver.environment,
            "FAKE_CUDA": str(self.holders),
            "PATH": f"{self.folder}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
        }

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "deploy.gpu", *arguments]


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="rankguard-fake-gpu-") as name:
        host = FakeHost(Path(name))
        host.build()
        process = subprocess.Popen(host.command(*sys.argv[1:]), env=host.environment)
        while True:
            try:
                return process.wait()
            except KeyboardInterrupt:  # the child has it too, and ends in order
                continue


if __name__ == "__main__":
    sys.exit(main())
