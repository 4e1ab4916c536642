"""A disk that takes no writes: the kernel holds whoever writes to it, and no signal ends it."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_SIZE = 16 << 20
_TOOLS = ("mkfs.ext4", "mount", "umount", "fsfreeze")


@contextmanager
def frozen_disk(folder: Path) -> Iterator[Path]:
    """A file on it, in `folder`; thawed and gone at the end, and whoever it held goes on."""
    image, place = folder / "frozen.img", folder / "frozen"
    with image.open("wb") as file:
        file.truncate(_SIZE)
    place.mkdir(exist_ok=True)
    _run("mkfs.ext4", "-q", str(image))
    _run("mount", "-o", "loop", str(image), str(place))
    try:
        (place / "file").touch()
        _run("fsfreeze", "--freeze", str(place))
        try:
            yield place / "file"
        finally:
            _run("fsfreeze", "--unfreeze", str(place))
    finally:
        _run("umount", "--lazy", str(place))
        image.unlink()


def missing() -> str:
    """Why this machine can have none; empty when it can."""
    absent = [tool for tool in _TOOLS if shutil.which(tool) is None]
    if absent:
        return f"needs {' '.join(absent)}"
    if os.geteuid() != 0:
        return "needs root, to mount and freeze a small disk"
    with tempfile.TemporaryDirectory() as name:
        try:
            with frozen_disk(Path(name)):
                return ""
        except (OSError, subprocess.CalledProcessError) as error:
            return f"needs a disk that can be frozen: {error}"


def _run(*argv: str) -> None:
    subprocess.run(argv, check=True, capture_output=True, timeout=30)
