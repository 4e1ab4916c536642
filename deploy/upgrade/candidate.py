"""The folder of a new version: its `engine.toml`, in a state directory of its own for the trial."""

from __future__ import annotations

import os
import time
from pathlib import Path

from deploy.config import toml_literal
from deploy.upgrade.overlay import FILE, digest
from deploy.upgrade.record import folder_of
from service.settings import EngineSettings

_HEADING = """\
# Written by `rankguard upgrade` {name}, {at}.
# It takes the place of [engine] in the configuration for as long as that section stays as it was;
# who changes it there is obeyed again. To settle it: copy this [engine] there and remove this
# file. To go back: rankguard upgrade --rollback.
"""


def write(
    state_dir: Path, name: str, engine: EngineSettings, base: EngineSettings, now: float
) -> Path:
    """Make the version's folder; returns it.

    Args:
        base: the [engine] of file and environment, in whose place it shall stand.

    Raises:
        OSError: it cannot be written.
    """
    folder = folder_of(state_dir, name)
    folder.mkdir(parents=True)
    at = time.strftime("%Y-%m-%d %H:%M:%S %z", time.localtime(now))
    lines = [_HEADING.format(name=name, at=at), "[upgrade]", f"id = {toml_literal(name)}"]
    lines += [f"replaces = {toml_literal(digest(base))}", "", "[engine]"]
    said = engine.model_dump(mode="json", exclude_defaults=True, exclude_none=True)
    lines += [f"{key} = {toml_literal(value)}" for key, value in said.items()]
    (folder / FILE).write_text("\n".join(lines) + "\n", encoding="utf-8")
    give_to_owner(state_dir, folder)
    return folder


def copy_of(state_dir: Path, name: str, text: str) -> Path:
    """A version that is what stood in `engine.toml` once; returns its folder.

    Raises:
        OSError: it cannot be written.
    """
    folder = folder_of(state_dir, name)
    folder.mkdir(parents=True)
    (folder / FILE).write_text(text, encoding="utf-8")
    give_to_owner(state_dir, folder)
    return folder


def give_to_owner(state_dir: Path, folder: Path) -> None:
    """What root writes for the service belongs to the service's user, as the directory does."""
    owner = state_dir.stat()
    if os.geteuid() != 0 or owner.st_uid == 0:
        return
    for path in (folder.parent, folder, *folder.rglob("*")):
        os.chown(path, owner.st_uid, owner.st_gid)
