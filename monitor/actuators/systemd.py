"""Replicas as instances of a systemd unit, such as `rankguard-worker@replica-0.service`.

The unit reads generation and card from an environment file that is written here before a start.
The control group is systemd's, so its own kill reaches every process of the unit.
"""

from __future__ import annotations

import logging
import os
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from monitor.model import Identity, ProcessSample
from monitor.ports import ActuatorError, Wake
from monitor.probes.ends import Ends
from monitor.probes.process import cpu_of, exists, group, identify
from monitor.window import CpuSample

_TIMEOUT_S = 10.0
_NO_SUCH_UNIT = 5  # systemctl(1), exit statuses

Run = Callable[[Sequence[str]], "subprocess.CompletedProcess[str]"]
log = logging.getLogger("rankguard.watchdog")


def systemctl(arguments: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Run systemctl with a limit; raises ActuatorError when it does not answer or is missing."""
    try:
        return subprocess.run(
            ["systemctl", *arguments],
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ActuatorError(f"systemctl: {error}") from error


class SystemdActuator:
    """Implements `Actuator`; called by the loop's thread alone."""

    def __init__(self, unit: str, environment_dir: Path, wake: Wake, run: Run = systemctl) -> None:
        """Manage instances of a unit.

        Args:
            unit: its name with `{id}` where the replica's id goes.
            environment_dir: where `<id>.env` is read by the unit.
        """
        self._unit = unit
        self._environment_dir = environment_dir
        self._run = run
        self._units: dict[Identity, str] = {}
        self._ends = Ends(wake)

    def start(self, replica_id: str, generation: int, gpu_uuid: str | None) -> Identity:
        unit = self._unit.format(id=replica_id)
        self._write_environment(replica_id, generation, gpu_uuid)
        self._run(["reset-failed", unit])
        done = self._run(["start", unit])
        if done.returncode != 0:
            permanent = done.returncode == _NO_SUCH_UNIT
            raise ActuatorError(f"{unit}: {done.stderr.strip()[:300]}", permanent=permanent)
        pid = self._main_pid(unit)
        identity = identify(pid) if pid else None
        if identity is None:
            raise ActuatorError(f"{unit}: it ended at once; see journalctl -u {unit}")
        self._units[identity] = unit
        self._ends.watch(identity.pid)
        return identity

    def adopt(self, identity: Identity) -> bool:
        stat = exists(identity)
        if stat is None or stat.state in {"Z", "X"}:
            return False
        unit = self._unit_of(identity.pid)
        if unit is None:
            return False
        self._units[identity] = unit
        self._ends.watch(identity.pid)
        return True

    def look(self, identity: Identity) -> ProcessSample:
        stat = exists(identity)
        if stat is not None and stat.state not in {"Z", "X"}:
            return ProcessSample(alive=True, state=stat.state)
        return ProcessSample(
            alive=False,
            exit_code=self._exit_code(identity),
            gone_at=self._ends.gone_at(identity.pid),
        )

    def cpu(self, identity: Identity) -> CpuSample:
        return cpu_of(group(identity))

    def terminate(self, identity: Identity) -> None:
        self._signal(identity, "TERM", "main")

    def kill(self, identity: Identity) -> None:
        self._signal(identity, "KILL", "all")

    def leftovers(self, identity: Identity) -> int:
        unit = self._units.get(identity)
        if unit is None or self._show(unit).get("ActiveState") in {"inactive", "failed", None}:
            return 0
        self.kill(identity)
        return 1

    def release(self, identity: Identity) -> None:
        self._units.pop(identity, None)
        self._ends.forget(identity.pid)

    def close(self) -> None:
        """Stop watching; the units go on."""
        self._ends.close()

    def _signal(self, identity: Identity, name: str, whom: str) -> None:
        unit = self._units.get(identity)
        if unit is None:
            return
        try:
            # an instance that was started anew since is not ours to kill
            if exists(identity) is not None or self._main_pid(unit) in {0, identity.pid}:
                # the option's name until systemd 252, which takes both
                self._run(["kill", f"--signal={name}", f"--kill-who={whom}", unit])
        except ActuatorError as error:
            log.warning("%s", error)

    def _main_pid(self, unit: str) -> int:
        return int(self._show(unit).get("MainPID", "0") or 0)

    def _exit_code(self, identity: Identity) -> int | None:
        unit = self._units.get(identity)
        shown = {} if unit is None else self._show(unit)
        status = shown.get("ExecMainStatus", "")
        if shown.get("ExecMainPID") != str(identity.pid) or not status.isdigit():
            return None
        # CLD_EXITED is 1; for a killed or dumped one the status is the signal
        return int(status) if shown.get("ExecMainCode") == "1" else 128 + int(status)

    def _show(self, unit: str) -> dict[str, str]:
        names = "ActiveState,MainPID,ExecMainPID,ExecMainCode,ExecMainStatus"
        try:
            text = self._run(["show", f"--property={names}", unit]).stdout
        except ActuatorError as error:
            log.warning("%s", error)
            return {}
        return dict(line.partition("=")[::2] for line in text.splitlines())

    def _unit_of(self, pid: int) -> str | None:
        """The unit whose control group a process is in (proc(5), cgroup)."""
        try:
            text = Path(f"/proc/{pid}/cgroup").read_text(encoding="utf-8")
        except OSError:
            return None
        prefix, _, suffix = self._unit.partition("{id}")
        for part in text.replace("\n", "/").split("/"):
            if part.startswith(prefix) and part.endswith(suffix) and len(part) > len(prefix):
                return part
        return None

    def _write_environment(self, replica_id: str, generation: int, gpu: str | None) -> None:
        path = self._environment_dir / f"{replica_id}.env"
        text = f"RANKGUARD_GENERATION={generation}\nRANKGUARD_GPU={gpu or ''}\n"
        if gpu is not None:
            text += f"CUDA_VISIBLE_DEVICES={gpu}\n"
        temporary = path.with_suffix(f".{os.getpid()}")
        try:
            self._environment_dir.mkdir(parents=True, exist_ok=True)
            temporary.write_text(text, encoding="ascii")
            temporary.replace(path)
        except OSError as error:
            raise ActuatorError(f"cannot write {path}: {error.strerror}") from error
