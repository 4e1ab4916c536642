"""PURE: what Ray Serve is told, from the settings of a single host. Knows no YAML."""

from __future__ import annotations

from dataclasses import dataclass

from deploy.config import Config

_BUSY_FACTOR = 8
"""The gateway counts tokens and Serve counts calls: most are far smaller than `chunk_tokens`."""

_CASES = 4
_TRIES = 2
_MARGIN_S = 5.0


@dataclass(frozen=True, slots=True)
class EnginePlan:
    """Numbers of the engine's deployment.

    Attributes:
        low, high: replicas in the whole cluster; equal: no scaling.
        calls: at one replica at once; more wait in the gateway's router.
        check_s, check_timeout_s: between two health checks, and the longest of one.
        end_s: how long a replica that is to end may take.
    """

    low: int
    high: int
    cpus: float
    gpus: float
    calls: int
    check_s: float
    check_timeout_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class GatewayPlan:
    """Numbers of the ingress deployment, and of Serve's proxies in front of it.

    Attributes:
        answer_s: longer than the gateway itself takes, so that its own words get through.
    """

    replicas: int
    cpus: float
    calls: int
    end_s: float
    answer_s: float


def engine_plan(config: Config) -> EnginePlan:
    """The engine's deployment; bounds are `[monitor] replicas` or min_ and max_replicas."""
    service, monitor = config.service, config.monitor
    low, high = monitor.bounds()
    return EnginePlan(
        low=low,
        high=high,
        cpus=config.fleet.cpus_per_replica,
        gpus=gpus(config),
        calls=max(1, _BUSY_FACTOR * service.replica_tokens // service.chunk_tokens),
        check_s=monitor.canary_s,
        check_timeout_s=_TRIES * _CASES * monitor.canary_timeout_s + _MARGIN_S,
        end_s=service.drain_timeout_s + _MARGIN_S,
    )


def gateway_plan(config: Config) -> GatewayPlan:
    """The ingress; more replicas than hosts wait for a host."""
    service, fleet = config.service, config.fleet
    return GatewayPlan(
        replicas=fleet.gateways,
        cpus=fleet.cpus_per_gateway,
        calls=service.max_requests,
        end_s=service.drain_timeout_s + _MARGIN_S,
        answer_s=service.request_timeout_s + _MARGIN_S,
    )


def gpus(config: Config) -> float:
    """Cards of one engine replica."""
    given = config.fleet.gpus_per_replica
    if given is not None:
        return given
    if config.engine.kind != "vllm":
        return 0
    parallel = ("tensor_parallel_size", "pipeline_parallel_size")
    tensor, pipeline = (int(config.engine.vllm.get(name, 1)) for name in parallel)
    return float(tensor * pipeline)


def slots(config: Config) -> int:
    """Replicas that the watchdog of one host looks for: as many as could ever be there."""
    return max(1, config.monitor.bounds()[1])
