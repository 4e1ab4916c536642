"""A bundle in parts: one archive, cut, with checksums and the script that joins it again."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import tarfile
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO, cast

from deploy.bundle import join
from deploy.bundle.wheels import BundleError

NAME = "rankguard-bundle.tar"
FORMAT, VERSION = "rankguard-parts", 1
_LEAST = 1 << 20
_MOST_PARTS = 1000
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


@dataclass(frozen=True, slots=True)
class Piece:
    """A file with its checksum."""

    name: str
    bytes: int
    sha256: str


def size_of(text: str) -> int:
    """Bytes of `60M`, `1G`, `1048576`; K, M and G are powers of 1024.

    Raises:
        BundleError: it is none, or below 1 MiB.
    """
    match = re.fullmatch(r"(\d+)\s*([KMG]?)(?:i?B)?", text.strip(), re.IGNORECASE)
    size = int(match[1]) * _UNITS[match[2].upper()] if match else 0
    if size < _LEAST:
        raise BundleError(f"--parts {text}: a size such as 60M, at least 1M")
    return size


class _Cutter:
    """A file that is written to, and that becomes parts; hashes each and the whole."""

    def __init__(self, folder: Path, size: int) -> None:
        self._folder = folder
        self._size = size
        self._file: BinaryIO | None = None
        self._hash = hashlib.sha256()
        self._written = 0
        self._whole = hashlib.sha256()
        self.pieces: list[Piece] = []

    def write(self, data: bytes) -> int:
        view = memoryview(data)
        while view:
            if self._file is None:
                self._begin()
            assert self._file is not None
            taken = view[: self._size - self._written]
            self._file.write(taken)
            self._hash.update(taken)
            self._whole.update(taken)
            self._written += len(taken)
            view = view[len(taken) :]
            if self._written == self._size:
                self._end()
        return len(data)

    def _begin(self) -> None:
        if len(self.pieces) >= _MOST_PARTS:
            raise BundleError(f"more than {_MOST_PARTS} parts; give --parts a larger size")
        self._file = (self._folder / self._name()).open("wb")
        self._hash, self._written = hashlib.sha256(), 0

    def _end(self) -> None:
        assert self._file is not None
        self._file.close()
        self.pieces.append(Piece(self._name(), self._written, self._hash.hexdigest()))
        self._file = None

    def _name(self) -> str:
        return f"{NAME}.{len(self.pieces):03}"

    def close(self) -> Piece:
        """The last part, and what the whole was."""
        if self._file is not None:
            self._end()
        size = sum(piece.bytes for piece in self.pieces)
        return Piece(NAME, size, self._whole.hexdigest())


def cut(source: Path, folder: Path, size: int) -> list[Path]:
    """Write the parts of a folder's archive, their list and `join.py`; returns the files.

    The same files give the same parts, so that a transfer can be gone on with.

    Args:
        size: bytes of a part, at most.
    """
    folder.mkdir(parents=True, exist_ok=True)
    cutter = _Cutter(folder, size)
    # a stream of tar is written and nothing else
    out = cast("BinaryIO", cutter)
    with tarfile.open(mode="w|", fileobj=out) as archive:
        for path in sorted(source.rglob("*")):
            archive.add(str(path), str(path.relative_to(source)), recursive=False, filter=_nameless)
    whole = cutter.close()
    body = {
        "format": FORMAT,
        "version": VERSION,
        "whole": asdict(whole),
        "parts": [asdict(piece) for piece in cutter.pieces],
    }
    listing = folder / join.LIST
    listing.write_text(json.dumps(body, indent=1) + "\n", encoding="utf-8")
    script = folder / "join.py"
    shutil.copy(join.__file__, script)
    return [*(folder / piece.name for piece in cutter.pieces), listing, script]


def make_parts(folder: Path, size: int, make: Callable[[Path], object]) -> list[Path]:
    """Make a bundle beside its parts, cut it, and remove it again; returns the parts' files.

    Raises:
        BundleError: the folder is not empty, or the bundle cannot be made.
    """
    if folder.exists() and any(folder.iterdir()):
        raise BundleError(f"{folder} is not empty; name a new one")
    folder.mkdir(parents=True, exist_ok=True)
    # beside the parts and not in /tmp: a bundle with vLLM has a gigabyte
    with tempfile.TemporaryDirectory(dir=folder, prefix=".making-") as name:
        make(Path(name))
        return cut(Path(name), folder, size)


def _nameless(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Without who made it and when."""
    member.uid = member.gid = member.mtime = 0
    member.uname = member.gname = ""
    return member
