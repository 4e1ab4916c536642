"""The files in the state directory that the watchdog shares with workers and gateway.

Their shapes are fixed in docs/architecture.md; this side reads manifests and writes verdicts.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from monitor.model import Identity, Manifest, WorkerState

log = logging.getLogger("rankguard.watchdog")


class FileBoard:
    """Implements `Board` on a directory."""

    def __init__(self, state_dir: Path) -> None:
        self._replicas = state_dir / "replicas"
        self._verdicts = state_dir / "verdicts"
        self._seen: dict[str, tuple[tuple[int, int, int], Manifest | None]] = {}

    def manifest(self, replica_id: str) -> Manifest | None:
        path = self._replicas / f"{replica_id}.json"
        try:
            status = path.stat()
        except OSError:
            self._seen.pop(replica_id, None)
            return None
        version = (status.st_ino, status.st_mtime_ns, status.st_size)
        known = self._seen.get(replica_id)
        if known is None or known[0] != version:
            known = (version, _read_manifest(path))
            self._seen[replica_id] = known
        return known[1]

    def manifests(self) -> Sequence[Manifest]:
        if not self._replicas.is_dir():
            return []
        found = (self.manifest(path.stem) for path in sorted(self._replicas.glob("*.json")))
        return [manifest for manifest in found if manifest is not None]

    def remove_manifest(self, replica_id: str, identity: Identity) -> None:
        manifest = self.manifest(replica_id)
        if manifest is not None and manifest.identity == identity:
            _remove(self._replicas / f"{replica_id}.json")

    def write_verdict(
        self, replica_id: str, generation: int, *, routable: bool, reason: str
    ) -> None:
        body = {"generation": generation, "routable": routable, "reason": reason}
        write_json(self._verdicts / f"{replica_id}.json", body)

    def remove_verdict(self, replica_id: str) -> None:
        _remove(self._verdicts / f"{replica_id}.json")


def write_json(path: Path, body: object) -> None:
    """Write by rename: a reader sees the old file or the new one, never half of one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(json.dumps(body, indent=1, sort_keys=True), encoding="utf-8")
    temporary.replace(path)


def _remove(path: Path) -> None:
    """A file that cannot be removed is overwritten by the next one of its name."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        log.warning("cannot remove %s: %s", path.name, error.strerror)


def _read_manifest(path: Path) -> Manifest | None:
    try:
        body = json.loads(path.read_text(encoding="utf-8"))
        return parse_manifest(body)
    except (OSError, ValueError, TypeError, KeyError):
        return None


def parse_manifest(body: dict[str, Any]) -> Manifest:
    """Raises KeyError, TypeError or ValueError for a body that is no manifest."""
    exit_code = body.get("exit_code")
    return Manifest(
        id=str(body["id"]),
        generation=int(body["generation"]),
        identity=Identity(int(body["pid"]), int(body["started_ticks"]), str(body["boot_id"])),
        url=str(body["url"]),
        state=WorkerState(body["state"]),
        engine=str(body.get("engine", "")),
        model=str(body.get("model", "")),
        fingerprint=str(body.get("fingerprint", "")),
        notice=str(body.get("notice", "")),
        gpu_uuid=body.get("gpu_uuid"),
        watched=bool(body.get("watched", False)),
        reason=str(body.get("reason", "")),
        exit_code=None if exit_code is None else int(exit_code),
    )
