"""A rendered file, and the one place that writes rendered files."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Artefact:
    """One file, not yet written.

    Attributes:
        path: relative to the directory that the operator names.
        mode: permission bits; 0o755 for what is run.
    """

    path: str
    text: str
    mode: int = 0o644


def write(artefacts: Iterable[Artefact], directory: Path) -> list[Path]:
    """Write every artefact below `directory`, replacing what is there; returns the paths.

    Raises:
        OSError: the directory cannot be written.
        ValueError: an artefact would lie outside the directory.
    """
    written = []
    for artefact in artefacts:
        relative = Path(artefact.path)
        if relative.is_absolute() or ".." in relative.parts:
            raise ValueError(f"{artefact.path} lies outside the directory")
        path = directory / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(artefact.text, encoding="utf-8")
        path.chmod(artefact.mode)
        written.append(path)
    return written
