"""What an upgrade has come to, kept in its folder so that it outlives the command."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from enum import Enum
from pathlib import Path
from typing import Any

from deploy.upgrade import overlay
from deploy.upgrade.standing import Standing, stand
from service.manifest import write_json
from service.process import boot_id, started_ticks

FOLDER = "upgrade"
FILE = "record.json"
VERSION = "engine.toml"
BEFORE = "before.toml"
"""What stood in `engine.toml` before; the watchdog keeps it when it installs the version."""
KEPT = 10
"""Folders of upgrades; older ones are removed."""


def new_name(now: float) -> str:
    """Names an upgrade; later ones sort later."""
    return time.strftime("%Y%m%d-%H%M%S", time.localtime(now)) + f"-{int(now * 1000) % 1000:03}"


class Phase(str, Enum):
    """How far it is. From `switching` on, the watchdog's rollout of the same name says more."""

    TRYING = "trying"
    REFUSED = "refused"
    PROVED = "proved"
    CANCELLED = "cancelled"
    SWITCHING = "switching"
    DONE = "done"
    WENT_BACK = "went_back"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Record:
    """One upgrade; moments are Unix seconds.

    Attributes:
        undoes: the upgrade that this one takes back; empty for a new version.
        old, new: engine, model and fingerprint; empty strings while not known.
        checks: the gate's table, as rows of text.
        limit_s: for each start. surge: a second replica may help the only one.
        asked: the whole plan of the trial; see `deploy.upgrade.plan`.
    """

    id: str
    phase: Phase
    at: float
    pid: int
    started_ticks: int
    boot_id: str
    undoes: str = ""
    old: dict[str, str] = field(default_factory=dict)
    new: dict[str, str] = field(default_factory=dict)
    reason: str = ""
    checks: tuple[dict[str, Any], ...] = ()
    limit_s: float = 900.0
    surge: bool = True
    asked: dict[str, Any] = field(default_factory=dict)

    @property
    def is_attended(self) -> bool:
        """The command that works on it lives."""
        same_boot = self.boot_id == boot_id()
        return same_boot and started_ticks(self.pid) == self.started_ticks


def new_record(name: str, at: float, **fields: Any) -> Record:
    """A record of an upgrade that this process works on."""
    pid = os.getpid()
    return Record(
        id=name,
        phase=Phase.TRYING,
        at=at,
        pid=pid,
        started_ticks=started_ticks(pid) or 0,
        boot_id=boot_id(),
        **fields,
    )


def attended(record: Record) -> Record:
    """The record, worked on by this process from now on."""
    pid = os.getpid()
    return replace(record, pid=pid, started_ticks=started_ticks(pid) or 0, boot_id=boot_id())


def folder_of(state_dir: Path, name: str) -> Path:
    return state_dir / FOLDER / name


def save(state_dir: Path, record: Record) -> None:
    write_json(folder_of(state_dir, record.id) / FILE, asdict(record))


def latest(state_dir: Path) -> Record | None:
    """The newest upgrade; None when there was none, or none that can be read."""
    found = [record for path in _folders(state_dir) if (record := _read(path)) is not None]
    return max(found, key=lambda record: (record.at, record.id), default=None)


def named(state_dir: Path, name: str) -> Record | None:
    """The upgrade of this name; None when it is not kept."""
    return _read(folder_of(state_dir, name))


def standing(
    state_dir: Path, rollout: Mapping[str, Any] | None, name: str = ""
) -> tuple[Record | None, Standing]:
    """An upgrade and where it stands; `rollout`: the watchdog's present or last one.

    Args:
        name: which one; empty: the newest.
    """
    found = named(state_dir, name) if name else latest(state_dir)
    if found is None:
        return None, stand(None, "", rollout, attended=False)
    at = stand(
        found.phase.value,
        found.id,
        rollout,
        attended=found.is_attended,
        installed=_is_installed(state_dir, found.id),
    )
    return found, at


def _is_installed(state_dir: Path, name: str) -> bool | None:
    """Whether the version is in force; None when the watchdog never installed it."""
    folder = folder_of(state_dir, name)
    if not (folder / BEFORE).exists():
        return None
    try:
        return (folder / VERSION).read_bytes() == (state_dir / VERSION).read_bytes()
    except OSError:
        return False


def forget_old(state_dir: Path) -> None:
    """Keep the newest folders, and that of the upgrade in force: it has the way back."""
    try:
        found = overlay.read(state_dir)
    except overlay.OverlayError:
        return
    in_force = None if found is None else found.upgrade
    for path in sorted(_folders(state_dir))[:-KEPT]:
        if path.name != in_force:
            shutil.rmtree(path, ignore_errors=True)


def _folders(state_dir: Path) -> list[Path]:
    try:
        return [path for path in (state_dir / FOLDER).iterdir() if (path / FILE).is_file()]
    except OSError:
        return []


def _read(folder: Path) -> Record | None:
    try:
        body = json.loads((folder / FILE).read_text(encoding="utf-8"))
        checks = tuple(body.pop("checks"))
        return Record(phase=Phase(body.pop("phase")), checks=checks, **body)
    except (OSError, ValueError, TypeError, KeyError):
        return None
