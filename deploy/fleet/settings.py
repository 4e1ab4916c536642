"""Settings of section `[fleet]`: more than one host."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class FleetSettings(BaseModel):
    """The other hosts, and what Ray Serve is told beyond the other sections."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    hosts: tuple[str, ...] = Field(
        (),
        description="the watchdogs that `rankguard status --hosts all` asks, host or host:port",
    )
    gateways: int = Field(2, ge=1, le=64, description="Ray Serve: gateways, at most one a host")
    gateway_port: int = Field(
        8001,
        ge=0,
        le=65535,
        description="Ray Serve: where a gateway answers on its own host, beside Serve's proxy, for"
        " metrics; 0: nowhere",
    )
    cpus_per_gateway: float = Field(
        1.0, ge=0, description="Ray Serve: CPUs that Ray sets aside for a gateway"
    )
    cpus_per_replica: float = Field(
        1.0, ge=0, description="Ray Serve: CPUs that Ray sets aside for an engine replica"
    )
    gpus_per_replica: float | None = Field(
        None,
        ge=0,
        description="Ray Serve: cards of an engine replica; unset: with vllm"
        " tensor_parallel_size x pipeline_parallel_size, otherwise none",
    )
