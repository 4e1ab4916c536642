"""Settings of the watchdog: section `[monitor]`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from typing_extensions import Self

from monitor.backoff import BackoffLimits
from monitor.gpureset import ResetLimits
from monitor.health import HealthLimits
from monitor.leak import LeakLimits
from monitor.limits import LoopLimits
from monitor.pace import PaceLimits
from monitor.policy import PolicyLimits
from monitor.probes.canary import CanaryLimits
from monitor.scaling import ScalingLimits


class MonitorSettings(BaseModel):
    """What the watchdog watches, how patient it is, and what it may do."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: str = Field("127.0.0.1", description="address of /metrics, /status and the status page")
    port: int = Field(9400, ge=0, le=65535, description="its port")
    replicas: int = Field(1, ge=0, le=64, description="workers to keep running")
    min_replicas: int | None = Field(
        None, ge=0, le=64, description="lower bound when scaling; unset: 1"
    )
    max_replicas: int | None = Field(
        None, ge=1, le=64, description="upper bound when scaling; unset: replicas, no scaling"
    )
    poll_s: float = Field(1.0, ge=0.01, le=60, description="seconds between two looks")
    canary_s: float = Field(15.0, ge=0.1, le=3600, description="seconds between two canaries")
    canary: Literal["order", "baseline", "off"] = Field(
        "order",
        description="order: known pairs must come in order; baseline: only values against the"
        " recorded ones (random weights cannot order); off: none",
    )
    canary_timeout_s: float = Field(
        2.0, gt=0, le=300, description="seconds one canary case may take"
    )
    canary_drift: float = Field(
        1.0, gt=0, description="largest change of a canary logit for the same fingerprint"
    )
    gpus: str = Field("nvml", description="nvml, none, or replay:FILE with a recording of cards")
    actuator: Literal["process", "systemd", "docker", "observe"] = Field(
        "process", description="who starts and ends workers"
    )
    unit: str = Field(
        "rankguard-worker@{id}.service", description="systemd unit of a replica; {id} is its id"
    )
    unit_environment_dir: Path = Field(
        Path("/run/rankguard"), description="where that unit reads its <id>.env"
    )
    label: str = Field(
        "rankguard.replica", description="docker label whose value is the replica's id"
    )
    stall_s: float = Field(
        2.5,
        gt=0,
        description="work in flight and no progress for so long (and a failed canary): hung",
    )
    working_stall_s: float = Field(
        120.0, gt=0, description="the same while its processes visibly compute or wait for a CPU"
    )
    stopped_s: float = Field(2.0, gt=0, description="seconds in state T before it counts as hung")
    silent_s: float = Field(
        2.5, gt=0, description="no answer to probes and no CPU used for so long: hung"
    )
    silent_max_s: float = Field(
        300.0, gt=0, description="no answer for so long, however busy it looks: hung"
    )
    load_stall_s: float = Field(
        180.0, gt=0, description="loading that gets no further and uses no CPU for so long: hung"
    )
    start_timeout_s: float = Field(3600.0, gt=0, description="longest start of a worker")
    drain_timeout_s: float = Field(
        35.0, ge=0, description="from SIGTERM to SIGKILL; above the worker's own drain timeout"
    )
    latency_slo_ms: float = Field(
        380.0,
        gt=0,
        description="latency objective: over it a replica is degraded, and scaling adds",
    )
    slow_siblings: float = Field(
        2.5, gt=1, description="times its siblings' time for the same work: a replica is degraded"
    )
    slow_past: float = Field(
        3.0, gt=1, description="times its own time for a canary when it was new: it is degraded"
    )
    slow_s: float = Field(
        60.0, ge=0, description="how long it must be slow to be told of, and well to be well again"
    )
    latency_slo_share: float = Field(
        0.95, gt=0, lt=1, description="share of requests within latency_slo_ms, for alert rules"
    )
    availability_slo: float = Field(
        0.999,
        gt=0,
        lt=1,
        description="share of requests that do not fail through us, for alert rules",
    )
    backoff_s: float = Field(1.0, ge=0, description="wait before the second restart in a row")
    backoff_max_s: float = Field(60.0, ge=0, description="longest wait before a restart")
    restart_budget: int = Field(5, ge=1, description="restarts for one cause within the window")
    restart_window_s: float = Field(600.0, gt=0, description="the window of the budget")
    start_tries: int = Field(3, ge=1, description="starts of a replica that never served yet")
    stable_s: float = Field(10.0, ge=0, description="serving so long forgets earlier failures")
    rearm_s: float = Field(
        900.0, gt=0, description="a replica whose budget was spent is tried again after so long"
    )
    recycle_mb: float | None = Field(
        None,
        gt=0,
        description="MiB of a worker's processes over which it is drained and started anew, when"
        " another replica serves meanwhile; unset: never",
    )
    certificates: tuple[str, ...] = Field(
        (),
        max_length=16,
        description="host:port of TLS addresses in front of this host, whose certificates are"
        " looked at as a client would",
    )
    certificates_ca_file: Path | None = Field(
        None, description="authority of these certificates, in PEM; unset: the system's"
    )
    leak_mb_per_h: float = Field(
        512.0,
        ge=0,
        description="MiB an hour by which a worker's memory, on host or card, must keep growing to"
        " be a leak: it is drained and started anew when another replica serves; 0: never",
    )
    leak_window_s: float = Field(
        3600.0, ge=600, description="how long it must have grown like that"
    )
    keep_logs: int = Field(5, ge=1, description="generations of worker logs kept per replica")
    keep_incidents: int = Field(50, ge=1, description="incident bundles kept")
    keep_days: float = Field(90.0, gt=0, description="days of transitions and incidents kept")
    scale_tokens: float = Field(
        32768.0, gt=0, description="queued tokens for which one replica is enough"
    )
    scale_up_s: float = Field(15.0, ge=0, description="how long the load must ask for one more")
    scale_down_s: float = Field(300.0, ge=0, description="how long it must ask for one fewer")
    scale_cooldown_s: float = Field(60.0, ge=0, description="between two changes of the size")
    gpu_timeout_s: float = Field(
        1.5, gt=0, le=30, description="how long a card may take to answer before it is read apart"
    )
    gpu_reset: Literal["never", "when_idle"] = Field(
        "never",
        description="when_idle: a card that needs a reset is given one when no process is on it;"
        " needs the rights for it, as a rule root's",
    )
    gpu_reset_command: tuple[str, ...] = Field(
        ("nvidia-smi", "--gpu-reset", "-i", "{uuid}"),
        min_length=1,
        description="what resets a card; {uuid} is its UUID",
    )
    gpu_reset_budget: int = Field(
        2, ge=1, description="resets of one card within a day, counted across reboots"
    )
    kernel_log: Path = Field(
        Path("/dev/kmsg"),
        description="where the kernel's records are read: in a container, where the host's is"
        " mounted; a named pipe may stand in for it",
    )
    record: Path | None = Field(
        None, description="write what is read of the cards to this file, for gpus = replay:FILE"
    )
    model_cache: Path | None = Field(
        None, description="folder whose disk is watched beside the state directory's"
    )

    @field_validator("certificates")
    @classmethod
    def _addresses(cls, targets: tuple[str, ...]) -> tuple[str, ...]:
        for target in targets:
            if not re.fullmatch(r"(\[[0-9a-fA-F:]+\]|[^\s:/\[\]]+):[0-9]{1,5}", target):
                raise ValueError(f"{target!r} is not host:port, such as search.example.com:443")
        return targets

    @field_validator("gpus")
    @classmethod
    def _gpus_is_known(cls, value: str) -> str:
        if value in {"nvml", "none"} or re.fullmatch(r"replay:.+", value):
            return value
        raise ValueError("must be nvml, none or replay:FILE")

    @model_validator(mode="after")
    def _bounds_are_in_order(self) -> Self:
        low, high = self.bounds()
        if self.min_replicas is not None and self.max_replicas is None:
            raise ValueError("min_replicas needs max_replicas")
        if low > high:
            raise ValueError(f"min_replicas ({low}) is above max_replicas ({high})")
        return self

    def bounds(self) -> tuple[int, int]:
        """Fewest and most replicas; equal when nothing is to be scaled."""
        if self.max_replicas is None:
            return self.replicas, self.replicas
        low = self.min_replicas if self.min_replicas is not None else min(1, self.max_replicas)
        return low, self.max_replicas

    def health_limits(self) -> HealthLimits:
        return HealthLimits(
            stall_s=self.stall_s,
            working_stall_s=self.working_stall_s,
            stopped_s=self.stopped_s,
            silent_s=self.silent_s,
            silent_max_s=self.silent_max_s,
            load_stall_s=self.load_stall_s,
            start_timeout_s=self.start_timeout_s,
        )

    def policy_limits(self) -> PolicyLimits:
        return PolicyLimits(
            backoff=BackoffLimits(
                base_s=self.backoff_s,
                max_s=self.backoff_max_s,
                budget=self.restart_budget,
                window_s=self.restart_window_s,
                stable_s=self.stable_s,
                start_tries=self.start_tries,
            ),
            drain_timeout_s=self.drain_timeout_s,
            rearm_s=self.rearm_s,
            observing=self.actuator == "observe",
        )

    def scaling_limits(self) -> ScalingLimits:
        low, high = self.bounds()
        return ScalingLimits(
            low=low,
            high=high,
            slo_s=self.latency_slo_ms / 1000,
            tokens_per_replica=self.scale_tokens,
            up_after_s=self.scale_up_s,
            down_after_s=self.scale_down_s,
            cooldown_s=self.scale_cooldown_s,
        )

    def loop_limits(self) -> LoopLimits:
        return LoopLimits(
            poll_s=self.poll_s,
            canary_s=self.canary_s,
            health=self.health_limits(),
            policy=self.policy_limits(),
            canary=self.canary_limits(),
            pace=self.pace_limits(),
            leak=self.leak_limits(),
            reset=self.reset_limits(),
            recycle_bytes=None if self.recycle_mb is None else self.recycle_mb * 2**20,
        )

    def pace_limits(self) -> PaceLimits:
        return PaceLimits(
            objective_s=self.latency_slo_ms / 1000,
            siblings=self.slow_siblings,
            past=self.slow_past,
            opens_s=self.slow_s,
            closes_s=self.slow_s,
        )

    def reset_limits(self) -> ResetLimits:
        wanted = self.gpu_reset == "when_idle" and self.actuator != "observe"
        return ResetLimits(wanted, budget=self.gpu_reset_budget)

    def leak_limits(self) -> LeakLimits:
        return LeakLimits(self.leak_mb_per_h * 2**20 or None, self.leak_window_s)

    def canary_limits(self) -> CanaryLimits:
        return CanaryLimits(mode=self.canary, drift=self.canary_drift)
