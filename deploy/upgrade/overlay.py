"""`engine.toml` in the state directory: the [engine] section that an upgrade put in force.

It takes the place of the configuration's [engine] as long as that section is the one it was made
from. Who edits the configuration afterwards is obeyed: the newer word counts.
"""

from __future__ import annotations

import hashlib
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from service.settings import EngineSettings

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FILE = "engine.toml"


class OverlayError(Exception):
    """`engine.toml` is there and cannot be used; says why."""


@dataclass(frozen=True, slots=True)
class Overlay:
    """What the file says.

    Attributes:
        upgrade: names the upgrade that made it.
        replaces: digest of the [engine] section in whose place it stands.
    """

    upgrade: str
    replaces: str
    engine: EngineSettings


def digest(engine: EngineSettings) -> str:
    """16 hex digits; equal for equal settings, also after an update that adds settings."""
    said = engine.model_dump(mode="json", exclude_defaults=True)
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:16]


def read(state_dir: Path) -> Overlay | None:
    """What is in the state directory; None: no upgrade is in force.

    Raises:
        OverlayError: a file is there and cannot be read.
    """
    path = state_dir / FILE
    try:
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except PermissionError as error:
        if not _may_enter(state_dir):
            return None  # somebody else's: whoever serves from it can read it
        raise OverlayError(f"{path}: {error.strerror}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise OverlayError(f"{path} cannot be read: {error}") from None
    return _parse(path, text)


def effective(engine: EngineSettings, state_dir: Path) -> EngineSettings:
    """The settings that count: the overlay's, or these.

    Raises:
        OverlayError: see `read`.
    """
    found = read(state_dir)
    return found.engine if found is not None and is_in_force(found, engine) else engine


def is_in_force(overlay: Overlay, engine: EngineSettings) -> bool:
    """Whether the configuration still is what the overlay was made from."""
    return overlay.replaces == digest(engine)


def describe(engine: EngineSettings, state_dir: Path) -> str:
    """One line on what the file does to this [engine]; empty when there is none.

    Raises:
        OverlayError: see `read`.
    """
    found = read(state_dir)
    if found is None:
        return ""
    path = state_dir / FILE
    if is_in_force(found, engine):
        return f"[engine] is that of upgrade {found.upgrade}: {path}"
    return f"{path} is not in force: [engine] was changed after upgrade {found.upgrade}"


def _parse(path: Path, text: str) -> Overlay | None:
    try:
        body: dict[str, Any] = tomllib.loads(text)
        if "engine" not in body:
            return None
        about = body["upgrade"]
        engine = EngineSettings.model_validate(body["engine"])
        return Overlay(str(about["id"]), str(about["replaces"]), engine)
    except tomllib.TOMLDecodeError as error:
        raise OverlayError(f"{path}: not TOML: {error}") from None
    except (KeyError, TypeError):
        raise OverlayError(f"{path}: no [upgrade] with id and replaces") from None
    except ValidationError as error:
        where = ", ".join(".".join(map(str, one["loc"])) for one in error.errors())
        raise OverlayError(f"{path}: [engine] {where}: not valid") from None


def _may_enter(folder: Path) -> bool:
    try:
        list(folder.iterdir())
    except PermissionError:
        return False
    return True
