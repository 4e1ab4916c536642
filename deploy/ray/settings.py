"""The settings as they travel in a Serve configuration, and what a host adds of its own."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from deploy.config import Config

SECTIONS = {"service", "engine", "monitor", "fleet"}
"""What gateway and engine read; who is alerted is the watchdogs' business."""

_SIZES = {
    "monitor": {"replicas", "min_replicas", "max_replicas"},
    "fleet": {"gateways", "cpus_per_replica", "gpus_per_replica", "cpus_per_gateway"},
}
"""What Serve alone is told. A change of `args` exchanges every replica, one of numbers need not."""


def to_args(config: Config) -> dict[str, Any]:
    """What was set, as plain values: the `args` of the application."""
    return config.model_dump(mode="json", exclude_unset=True, include=SECTIONS, exclude=_SIZES)


def on_this_host(args: Mapping[str, Any], environ: Mapping[str, str] | None = None) -> Config:
    """The settings with this host's own state directory, when its environment names one.

    Raises:
        pydantic.ValidationError: they are not valid.
    """
    environ = os.environ if environ is None else environ
    body = dict(args)
    state_dir = environ.get("RANKGUARD_SERVICE__STATE_DIR")
    if state_dir:
        body["service"] = {**body.get("service", {}), "state_dir": state_dir}
    return Config.model_validate(body)
