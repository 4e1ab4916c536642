"""Ray Serve: one configuration for the whole cluster, and the commands that start it."""

from __future__ import annotations

import ipaddress
import json
from dataclasses import asdict
from typing import Any

from deploy.config import Config
from deploy.ray import plan
from deploy.ray.settings import to_args
from deploy.render.artefact import Artefact
from deploy.render.host import Site, Target, state_dir, targets
from deploy.render.template import fill
from service.gateway.auth import is_loopback

EVERYWHERE = "0.0.0.0"


def ray(config: Config, site: Site) -> list[Artefact]:
    """`serve.yaml`, the environment of the hosts' watchdogs, and a README with the commands."""
    engine = plan.engine_plan(config)
    limits = asdict(config.monitor.scaling_limits()) if engine.low < engine.high else {}
    values = {
        "engine": engine,
        "gateway": plan.gateway_plan(config),
        "args": json.dumps(_args(config), ensure_ascii=False, sort_keys=True),
        "state_dir": state_dir(config),
        "limits": json.dumps(limits),
        # one address for all hosts' proxies: each has its own, so it is all of them or loopback
        "host": config.service.host if is_loopback(config.service.host) else EVERYWHERE,
        "port": config.service.port,
        "monitor_port": config.monitor.port,
        "gateway_port": config.fleet.gateway_port,
        "slots": plan.slots(config),
        "command": site.command,
        "bin": site.command.parent,
        "config_file": site.config_file,
        "token_file": site.config_file.with_name("ray.token"),
        "targets": targets(site),
        "address_of": _address_option,
    }
    names = ("serve.yaml", "watchdog.env", "README.md")
    return [Artefact(name, fill(f"ray/{name}", **values)) for name in names]


def _args(config: Config) -> dict[str, Any]:
    """The settings that travel, with the place where replicas and watchdogs of a host meet."""
    args = to_args(config)
    return {**args, "service": {**args.get("service", {}), "state_dir": str(state_dir(config))}}


def _address_option(target: Target) -> str:
    """Ray takes an address here and no name; without it Ray finds the host's own."""
    try:
        ipaddress.ip_address(target.address)
    except ValueError:
        return ""
    return f" --node-ip-address {target.address}"
