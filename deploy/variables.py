"""PURE: settings that come as variables of the environment, such as `RANKGUARD_SERVICE__PORT`."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

PREFIX = "RANKGUARD_"
NESTING = "__"
Place = tuple[str, ...]


def in_environment(environ: Mapping[str, str]) -> dict[Place, str]:
    """Where each variable's value belongs -> the variable's name."""
    return {
        tuple(name.removeprefix(PREFIX).lower().split(NESTING)): name
        for name in sorted(environ)
        if name.startswith(PREFIX) and NESTING in name
    }


def put(body: dict[str, Any], place: Sequence[str], text: str) -> bool:
    """Put one value in its place; a part of `[engine.vllm]` keeps its type.

    Returns:
        False when something on the way is a value and no section.
    """
    *path, last = place
    for key in path:
        inner = body.setdefault(key, {})
        if not isinstance(inner, dict):
            return False
        body = inner
    typed = text.startswith(("[", "{")) or path == ["engine", "vllm"]
    body[last] = _literal(text) if typed else text
    return True


def origin(where: Sequence[str], names: Mapping[Place, str], *, unknown: bool) -> str | None:
    """The variable that a wrong value came from; None: it is the file's.

    Args:
        where: sections and key of the value.
        unknown: the value is a key or section that nobody knows.
    """
    for place, name in names.items():
        short, long = sorted((place, tuple(where)), key=len)
        if long[: len(short)] == short and (unknown or short == place):
            return name
    return None


def overlooked(environ: Mapping[str, str], sections: Mapping[str, Collection[str]]) -> list[str]:
    """Sentences on variables that are not read and look as if they should be.

    No errors: Kubernetes sets RANKGUARD_SERVICE_PORT for a service that is called rankguard.
    """
    found = []
    for name in sorted(environ):
        section, _, key = name.removeprefix(PREFIX).lower().partition("_")
        if name.startswith(PREFIX) and NESTING not in name and key in sections.get(section, ()):
            meant = f"{PREFIX}{section}{NESTING}{key}".upper()
            found.append(f"{name} is not read; the setting is {meant}, with two underscores")
    return found


def _literal(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
