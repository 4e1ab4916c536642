"""Replicas as containers, found by a label; needs the `docker` package and the host's pids.

A container is made by its owner and only started and ended here. Generation and card are written
to `orders/<id>.env` in the state directory, which the container's entry point reads.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any, Protocol

from monitor.model import Identity, ProcessSample
from monitor.ports import ActuatorError, Wake
from monitor.probes.ends import Ends
from monitor.probes.process import cpu_of, exists, group, identify
from monitor.window import CpuSample

_TIMEOUT_S = 5

log = logging.getLogger("rankguard.watchdog")


class Container(Protocol):
    """What is asked of a container; the docker SDK's has all of it."""

    id: str

    @property
    def attrs(self) -> dict[str, Any]: ...

    def reload(self) -> None: ...

    def start(self) -> None: ...

    def kill(self, signal: str) -> None: ...


class Containers(Protocol):
    """What is asked of a daemon: containers with a label, stopped ones included."""

    def labelled(self, label: str) -> list[Container]: ...


class SdkContainers:
    """Implements `Containers` through the docker SDK."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def labelled(self, label: str) -> list[Container]:
        found: list[Container] = self._client.containers.list(all=True, filters={"label": label})
        return found


def connect_docker() -> Containers:
    """The daemon that the environment names.

    Raises:
        ActuatorError: the package is missing, or no daemon answers.
    """
    try:
        import docker  # noqa: PLC0415 - an extra: only who asks for this actuator needs it
    except ImportError as error:
        raise ActuatorError(
            "[monitor] actuator = docker needs the package docker: pip install docker"
        ) from error
    try:
        client = docker.from_env(timeout=_TIMEOUT_S)
        client.ping()
    except docker.errors.DockerException as error:
        raise ActuatorError(f"the docker daemon does not answer: {error}") from error
    return SdkContainers(client)


class DockerActuator:
    """Implements `Actuator`; called by the loop's thread alone."""

    def __init__(self, containers: Containers, label: str, state_dir: Path, wake: Wake) -> None:
        self._containers = containers
        self._label = label
        self._orders = state_dir / "orders"
        self._held: dict[Identity, Container] = {}
        self._ends = Ends(wake)

    def start(self, replica_id: str, generation: int, gpu_uuid: str | None) -> Identity:
        self._write_orders(replica_id, generation, gpu_uuid)
        try:
            container = self._find(replica_id)
            container.start()
            container.reload()
        except ActuatorError:
            raise
        except Exception as error:  # the SDK's errors and those of its HTTP library
            raise ActuatorError(f"container of {replica_id}: {error}") from error
        pid = int(container.attrs["State"].get("Pid") or 0)
        identity = identify(pid) if pid else None
        if identity is None:
            raise ActuatorError(f"container of {replica_id}: it ended at once")
        self._hold(identity, container)
        return identity

    def adopt(self, identity: Identity) -> bool:
        stat = exists(identity)
        if stat is None or stat.state in {"Z", "X"}:
            return False
        try:
            for container in self._containers.labelled(self._label):
                if container.attrs["State"].get("Pid") == identity.pid:
                    self._hold(identity, container)
                    return True
        except Exception as error:  # noqa: BLE001 - as above; not adopted is the safe answer
            log.warning("docker: %s", error)
        return False

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
        self._signal(identity, "SIGTERM")

    def kill(self, identity: Identity) -> None:
        self._signal(identity, "SIGKILL")

    def leftovers(self, identity: Identity) -> int:
        """The daemon ends the whole container with its first process."""
        return int(self._running(identity))

    def release(self, identity: Identity) -> None:
        self._held.pop(identity, None)
        self._ends.forget(identity.pid)

    def close(self) -> None:
        """Stop watching; the containers go on."""
        self._ends.close()

    def _hold(self, identity: Identity, container: Container) -> None:
        self._held[identity] = container
        self._ends.watch(identity.pid)

    def _find(self, replica_id: str) -> Container:
        found = self._containers.labelled(f"{self._label}={replica_id}")
        if len(found) != 1:
            raise ActuatorError(
                f"{len(found)} containers have the label {self._label}={replica_id}",
                permanent=True,
            )
        return found[0]

    def _state(self, identity: Identity) -> dict[str, Any]:
        container = self._held.get(identity)
        if container is None:
            return {}
        try:
            container.reload()
        except Exception as error:  # noqa: BLE001 - as above; the daemon may be gone for a while
            log.warning("docker: %s", error)
            return {}
        state: dict[str, Any] = container.attrs["State"]
        return state

    def _running(self, identity: Identity) -> bool:
        state = self._state(identity)
        return bool(state.get("Running")) and state.get("Pid") == identity.pid

    def _exit_code(self, identity: Identity) -> int | None:
        state = self._state(identity)
        return None if not state or state.get("Running") else int(state.get("ExitCode", 0))

    def _signal(self, identity: Identity, name: str) -> None:
        container = self._held.get(identity)
        if container is None or not self._running(identity):
            return
        try:
            container.kill(signal=name)
        except Exception as error:  # noqa: BLE001 - as above; asked again at the next tick
            log.warning("docker: %s", error)

    def _write_orders(self, replica_id: str, generation: int, gpu: str | None) -> None:
        path = self._orders / f"{replica_id}.env"
        temporary = path.with_suffix(f".{os.getpid()}")
        try:
            self._orders.mkdir(parents=True, exist_ok=True)
            temporary.write_text(
                f"RANKGUARD_GENERATION={generation}\nRANKGUARD_GPU={gpu or ''}\n", encoding="ascii"
            )
            temporary.replace(path)
        except OSError as error:
            raise ActuatorError(f"cannot write {path}: {error.strerror}") from error
