"""The files by which a version is installed: `engine.toml`, and the copies an upgrade keeps.

What is in them is the workers' business; here they are copied whole, each by a rename.
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

CURRENT = "engine.toml"
FOLDER = "upgrade"
BEFORE = "before.toml"
NOTHING = "# no upgrade is in force: [engine] of the configuration counts\n"
_NAME = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]{0,63}")


class VersionError(Exception):
    """A version cannot be installed; says why."""


def is_name(text: str) -> bool:
    """Whether it may name a version: one folder, and nothing that leaves it."""
    return _NAME.fullmatch(text) is not None


class Versions:
    """Installs versions in one state directory; doing it twice is harmless."""

    def __init__(self, state_dir: Path) -> None:
        self._current = state_dir / CURRENT
        self._folder = state_dir / FOLDER

    def install(self, name: str) -> None:
        """Every worker that starts from now on runs this version; what was there is kept.

        Raises:
            VersionError: there is no such version, or it cannot be written.
        """
        wanted = self._folder / name / CURRENT
        kept = self._folder / name / BEFORE
        try:
            if not is_name(name) or not wanted.is_file():
                raise VersionError(f"there is no version {name!r} in {self._folder}")
            if not kept.exists():
                self._keep(kept)
            _copy(wanted, self._current)
        except OSError as error:
            raise VersionError(f"cannot install {name}: {error.strerror}") from error

    def go_back(self, name: str) -> None:
        """Install what was there before this version.

        Raises:
            VersionError: it was never installed, or the file cannot be written.
        """
        try:
            _copy(self._folder / name / BEFORE, self._current)
        except OSError as error:
            raise VersionError(f"cannot go back from {name}: {error.strerror}") from error

    def _keep(self, kept: Path) -> None:
        if self._current.is_file():
            _copy(self._current, kept)
        else:
            kept.write_text(NOTHING, encoding="utf-8")


def _copy(source: Path, target: Path) -> None:
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    shutil.copyfile(source, temporary)
    with temporary.open("rb") as file:
        os.fsync(file.fileno())  # else a power failure may leave an empty file under the name
    temporary.replace(target)
