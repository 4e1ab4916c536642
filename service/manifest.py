"""The files through which a worker, the watchdog and the gateway know of each other.

`replicas/<id>.json` is written by the worker alone: what it is, where it listens, how far it is.
`verdicts/<id>.json` is written by the watchdog alone: may the gateway send it traffic, and why not.
Every write is a rename, so a reader sees the old file or the new one and never half of one.
"""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import asdict, dataclass, replace
from enum import Enum
from pathlib import Path
from urllib.parse import urlsplit


class WorkerState(str, Enum):
    """How far a worker is; a manifest and `/progress` carry the same word."""

    LOADING = "loading"
    READY = "ready"
    DRAINING = "draining"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Manifest:
    """One worker's own word.

    Attributes:
        started_ticks: field 22 of `/proc/<pid>/stat`: with `pid` it names a process for good,
            since a pid alone is used again.
        boot_id: `/proc/sys/kernel/random/boot_id`: after a reboot a pid means nothing.
        watched: started by a watchdog, so the gateway waits for its verdict before routing.
        reason: why it is in this state; for `failed` the one-line cause.
        exit_code: set with `failed`, before the process ends.
        fingerprint: names model, engine and arithmetic; scores are comparable when it is equal.
    """

    id: str
    generation: int
    pid: int
    started_ticks: int
    boot_id: str
    url: str
    engine: str
    model: str
    fingerprint: str = ""
    notice: str = ""
    gpu_uuid: str | None = None
    watched: bool = False
    state: WorkerState = WorkerState.LOADING
    reason: str = ""
    exit_code: int | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """The watchdog's word on one generation of one replica."""

    generation: int
    routable: bool
    reason: str


def replicas_dir(state_dir: Path) -> Path:
    return state_dir / "replicas"


def verdicts_dir(state_dir: Path) -> Path:
    return state_dir / "verdicts"


def write_json(path: Path, body: object) -> None:
    """Write atomically, readable by the owner's group and nobody else's."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(json.dumps(body, indent=1, sort_keys=True), encoding="utf-8")
    temporary.replace(path)


def write_manifest(state_dir: Path, manifest: Manifest) -> None:
    write_json(replicas_dir(state_dir) / f"{manifest.id}.json", asdict(manifest))


def remove_manifest(state_dir: Path, manifest: Manifest) -> None:
    """Remove the file if it is still this process's."""
    path = replicas_dir(state_dir) / f"{manifest.id}.json"
    current = read_manifest(path)
    if current is not None and current.pid == manifest.pid:
        with contextlib.suppress(FileNotFoundError):
            path.unlink()


def read_manifest(path: Path) -> Manifest | None:
    """The manifest in the file, or None when it is gone or is not one."""
    try:
        body = json.loads(path.read_text(encoding="utf-8"))
        manifest = Manifest(**body)
        manifest = replace(manifest, state=WorkerState(manifest.state))
    except (OSError, ValueError, TypeError):
        return None
    return manifest if _can_be_believed(manifest) else None


def _can_be_believed(manifest: Manifest) -> bool:
    """Whether its numbers are numbers and its URL can be asked: a file may say anything."""
    numbers = (manifest.generation, manifest.pid, manifest.started_ticks)
    words = (manifest.id, manifest.boot_id, manifest.url, manifest.engine, manifest.model)
    if not all(type(each) is int for each in numbers):
        return False
    if not all(isinstance(each, str) for each in (*words, manifest.fingerprint)):
        return False
    try:
        url = urlsplit(manifest.url)
        return url.scheme == "http" and bool(url.hostname) and url.port != 0
    except ValueError:  # a port that is no number
        return False


def read_manifests(state_dir: Path) -> list[Manifest]:
    """Every manifest in the state directory, by the replica's name; what is none is left out."""
    paths = sorted(replicas_dir(state_dir).glob("*.json"))
    return [manifest for path in paths if (manifest := read_manifest(path)) is not None]


def read_verdict(path: Path) -> Verdict | None:
    """The verdict in the file, or None when there is none."""
    try:
        body = json.loads(path.read_text(encoding="utf-8"))
        return Verdict(
            generation=int(body["generation"]),
            routable=bool(body["routable"]),
            reason=str(body["reason"]),
        )
    except (OSError, ValueError, TypeError, KeyError):
        return None


def routable(manifest: Manifest, verdict: Verdict | None) -> tuple[bool, str]:
    """Whether the gateway may send traffic, and the reason in one word.

    A worker that no watchdog started is taken at its own word. One that a watchdog started needs
    the watchdog's verdict on this very generation: the last one's verdict says nothing about it.
    """
    if manifest.state is not WorkerState.READY:
        return False, manifest.state.value
    if not manifest.watched:
        return True, "ready"
    if verdict is None or verdict.generation != manifest.generation:
        return False, "awaiting_canary"
    return verdict.routable, verdict.reason
