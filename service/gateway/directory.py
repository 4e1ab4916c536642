"""Which replicas there are; as a rule from the state directory's manifests and verdicts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from service.manifest import (
    Manifest,
    Verdict,
    read_manifest,
    read_verdict,
    replicas_dir,
    verdicts_dir,
)


@dataclass(frozen=True, slots=True)
class Seen:
    """One replica's files, as read at one moment."""

    manifest: Manifest
    verdict: Verdict | None


class Directory(Protocol):
    """Says which replicas there are; called in a thread, ten times a second."""

    def read(self) -> Sequence[Seen]:
        """Everything there is now.

        Raises:
            OSError: nobody can say; what is known stays known.
        """
        ...


class StateDirectory:
    """Implements `Directory`; files that did not change are not read again."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._existed = False
        self._known: dict[Path, tuple[tuple[int, int, int], Manifest | Verdict | None]] = {}

    def read(self) -> list[Seen]:
        """Everything there is now, sorted by id.

        Raises:
            OSError: the directory cannot be read; one that is not there yet is empty.
        """
        try:
            paths = sorted(
                path
                for path in replicas_dir(self._root).iterdir()
                if path.suffix == ".json" and not path.name.startswith(".")
            )
        except FileNotFoundError:
            # workers remove their files and nobody the folder: then the disk is gone
            if self._existed:
                raise
            return []
        self._existed = True
        seen = []
        for path in paths:
            manifest = self._cached(path, read_manifest)
            verdict = self._cached(verdicts_dir(self._root) / path.name, read_verdict)
            if isinstance(manifest, Manifest):
                seen.append(Seen(manifest, verdict if isinstance(verdict, Verdict) else None))
        return seen

    def _cached(
        self, path: Path, read: Callable[[Path], Manifest | Verdict | None]
    ) -> Manifest | Verdict | None:
        try:
            found = path.stat()
        except OSError:
            self._known.pop(path, None)
            return None
        mark = (found.st_ino, found.st_mtime_ns, found.st_size)
        known = self._known.get(path)
        if known is not None and known[0] == mark:
            return known[1]
        value = read(path)
        self._known[path] = (mark, value)
        return value
