"""The evidence of an incident, saved before the process that holds it is killed.

Bounded in size and in time; what cannot be read is left out and said so. Secrets are taken out.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import logging
import os
import platform
import shutil
import subprocess
from collections.abc import Callable, Sequence
from enum import Enum
from pathlib import Path
from typing import Any

from monitor.model import Health, Identity, Moment, Verdict
from monitor.probes.process import group
from monitor.redact import redact, redact_argv
from monitor.snapshot import Snapshot
from monitor.watch import Watch

_TAIL_BYTES = 64 * 1024
_MAX_BYTES = 1024 * 1024
_STACKS_TIMEOUT_S = 1.0

log = logging.getLogger("rankguard.watchdog")


class Bundles:
    """Folders `incidents/<id>/`; only the newest are kept."""

    def __init__(
        self,
        state_dir: Path,
        *,
        keep: int,
        latest: Callable[[], Snapshot | None],
        kernel_lines: Callable[[], Sequence[str]] = tuple,
    ) -> None:
        self._state_dir = state_dir
        self._folder = state_dir / "incidents"
        self._keep = keep
        self._latest = latest
        self._kernel_lines = kernel_lines

    def save(self, incident: int, watch: Watch, verdict: Verdict, now: Moment) -> None:
        """Save what is known; an incident with several kills has one bundle for each generation."""
        folder = self._folder / str(incident) / f"generation-{watch.replica.generation}"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(0o700)
            self._write(folder, watch, verdict, now)
            self._prune()
        except OSError as error:  # a full disk must not keep a hung worker alive
            log.warning("no evidence for incident %d: %s", incident, error)

    def _write(self, folder: Path, watch: Watch, verdict: Verdict, now: Moment) -> None:
        facts: dict[str, Any] = {
            "at": now.wall,
            "replica": watch.replica,
            "verdict": verdict,
            "evidence": watch.evidence(),
            "host": platform.uname()._asdict(),
            "python": platform.python_version(),
        }
        snapshot = self._latest()
        if snapshot is not None:
            facts["cards"] = [card.sample for card in snapshot.cards]
            facts["host_sample"] = snapshot.host
        _write_json(folder / "facts.json", facts)
        replica = watch.replica
        _write_text(folder / "log.txt", self.read_log(replica.id, replica.generation))
        _write_text(folder / "kernel.txt", "\n".join(self._kernel_lines()))
        identity = watch.replica.identity
        if identity is not None:
            _write_json(folder / "processes.json", _processes(identity))
            if verdict.health is Health.HUNG:
                _write_text(folder / "stacks.txt", _stacks(identity.pid))

    def read_log(self, replica_id: str, generation: int) -> str:
        """The end of the log of one generation, or why there is none."""
        return _tail(self._state_dir / "logs" / replica_id / f"{generation}.log")

    def _prune(self) -> None:
        kept = sorted(
            (path for path in self._folder.iterdir() if path.name.isdigit()),
            key=lambda path: int(path.name),
        )
        for old in kept[: -self._keep]:
            shutil.rmtree(old, ignore_errors=True)


def _processes(identity: Identity) -> list[dict[str, Any]]:
    found = []
    for stat in group(identity):
        body: dict[str, Any] = dataclasses.asdict(stat)
        with contextlib.suppress(OSError):
            raw = Path(f"/proc/{stat.pid}/cmdline").read_bytes().decode("utf-8", "replace")
            body["argv"] = redact_argv(raw.rstrip("\0").split("\0"))
        with contextlib.suppress(OSError):
            body["waits_in"] = Path(f"/proc/{stat.pid}/wchan").read_text(encoding="ascii")
        found.append(body)
    return found


def _stacks(pid: int) -> str:
    """Python stacks through py-spy, where it is installed; it only reads the process's memory."""
    tool = shutil.which("py-spy")
    if tool is None:
        return "py-spy is not installed"
    try:
        done = subprocess.run(
            [tool, "dump", "--nonblocking", "--pid", str(pid)],
            capture_output=True,
            text=True,
            timeout=_STACKS_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"no stacks: {error}"
    return done.stdout or done.stderr


def _tail(path: Path) -> str:
    try:
        with path.open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - _TAIL_BYTES))
            return file.read().decode("utf-8", "replace")
    except OSError as error:
        return f"no log: {error.strerror}"


def _write_text(path: Path, text: str) -> None:
    path.write_text(redact(text)[:_MAX_BYTES], encoding="utf-8")


def _write_json(path: Path, body: Any) -> None:
    _write_text(path, json.dumps(body, default=_plain, indent=1, sort_keys=True))


def _plain(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {one.name: getattr(value, one.name) for one in dataclasses.fields(value)}
    return str(value)
