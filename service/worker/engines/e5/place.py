"""Where the model lies in the cache. Imports nothing heavy, so that anybody may look."""

from __future__ import annotations

import os
from pathlib import Path

from service.settings import EmbeddedSettings

NAME = "multilingual-e5-small"
FORMAT = "int8-2"
"""Part of the folder's name: a release that converts differently makes a new folder."""

MANIFEST = "manifest.json"


def cache_root(settings: EmbeddedSettings) -> Path:
    """Where everything of this model lies."""
    if settings.cache_dir is not None:
        return settings.cache_dir / NAME
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "rankguard" / "models" / NAME


def model_folder(settings: EmbeddedSettings) -> Path:
    """The converted model's folder, whether it is there yet or not."""
    return cache_root(settings) / FORMAT


def is_complete(folder: Path) -> bool:
    """A folder appears by a rename with its manifest in it: whole or not at all."""
    return (folder / MANIFEST).is_file()
