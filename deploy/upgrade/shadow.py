"""The shadow: a worker with the new version that no user's request reaches.

Its state directory is the version's own folder, so that gateway and watchdog do not know of it.
It ends with the command that started it.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import requests
from typing_extensions import Self

from monitor.cause import find_cause
from service.manifest import Manifest, WorkerState, read_manifest, replicas_dir

ID = "shadow"
_POLL_S = 0.1
_STOP_S = 15.0
_LOG_CHARS = 200_000
_OOM_FIRST = "900"


class ShadowError(Exception):
    """The new version did not start; says why."""


class Shadow:
    """One worker process on a version's folder; a context manager that ends it."""

    def __init__(
        self,
        folder: Path,
        config: Path | None,
        environment: Mapping[str, str],
        gpu_uuid: str | None,
        *,
        home: Path | None = None,
    ) -> None:
        """Prepare it.

        Args:
            home: the folder in which replicas are started; None: this process's own.
        """
        self._home = home
        self._folder = folder
        self._log = folder / "shadow.log"
        self._environment = dict(environment)
        self._environment["RANKGUARD_SERVICE__STATE_DIR"] = str(folder)
        if gpu_uuid is not None:
            self._environment["CUDA_VISIBLE_DEVICES"] = gpu_uuid
        settings = ["--config", str(config.resolve())] if config is not None else []
        card = ["--gpu", gpu_uuid] if gpu_uuid is not None else []
        parent = ["--die-with-parent", str(os.getpid())]
        self._command = [
            *(sys.executable, "-m", "deploy", "worker", "--id", ID),
            *settings,
            *card,
            *parent,
        ]
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        (replicas_dir(self._folder) / f"{ID}.json").unlink(missing_ok=True)  # an earlier try's
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._environment,
                cwd=self._home,
                start_new_session=True,
                **_as_owner(self._folder),
            )
        with contextlib.suppress(OSError):
            # where there is no memory for both, the kernel shall take this one
            Path(f"/proc/{self._process.pid}/oom_score_adj").write_text(_OOM_FIRST)
        return self

    def __exit__(self, *_: object) -> None:
        process = self._process
        if process is None or process.poll() is not None:
            return
        process.terminate()
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(_STOP_S)

    def wait_ready(self, limit_s: float, tell: Callable[[str], None]) -> Manifest:
        """Wait until it has loaded; says how far it is.

        Raises:
            ShadowError: it failed, or did not load in time.
        """
        began = time.monotonic()
        while time.monotonic() - began < limit_s:
            manifest = read_manifest(replicas_dir(self._folder) / f"{ID}.json")
            ended = self._process is None or self._process.poll() is not None
            if manifest is not None and manifest.state is WorkerState.READY and not ended:
                return manifest
            if ended:
                raise ShadowError(self._why(manifest))
            phase = "" if manifest is None else _loading(manifest.url)
            tell(f"starting the new version: {phase or 'starting'}")
            time.sleep(_POLL_S)
        raise ShadowError(f"not ready within {limit_s:.0f} s; its log: {self._log}")

    def _why(self, manifest: Manifest | None) -> str:
        """Its own last word, else what its log says."""
        if manifest is not None and manifest.reason and manifest.state is WorkerState.FAILED:
            return manifest.reason
        with contextlib.suppress(OSError):
            text = self._log.read_text(encoding="utf-8", errors="replace")[-_LOG_CHARS:]
            cause = find_cause(text)
            if cause is not None:
                return f"{cause.word}: {cause.means}"
            lines = [line for line in text.splitlines() if line.strip()]
            if lines:
                return lines[-1][:200]
        return f"it ended; its log: {self._log}"


def _loading(url: str) -> str:
    try:
        loading = requests.get(f"{url}/progress", timeout=1.0).json().get("loading")
    except (requests.RequestException, ValueError):
        return ""
    if not isinstance(loading, dict):
        return ""
    done = loading.get("done")
    share = f" {done:.0%}" if isinstance(done, int | float) else ""
    return f"{loading.get('phase', '')}{share}"


def _as_owner(folder: Path) -> dict[str, Any]:
    """Started by root, it runs as the service's user, with its groups: as a replica does."""
    owner = folder.stat()
    if os.geteuid() != 0 or owner.st_uid == 0:
        return {}
    groups = [owner.st_gid]
    with contextlib.suppress(KeyError):
        groups = os.getgrouplist(pwd.getpwuid(owner.st_uid).pw_name, owner.st_gid)
    return {"user": owner.st_uid, "group": owner.st_gid, "extra_groups": groups}
