"""The gateway's app as Serve ingress: the same app, with another directory and another wire."""

from __future__ import annotations

import ray
from fastapi import FastAPI
from prometheus_client import CollectorRegistry, disable_created_metrics
from ray import serve

from deploy.config import Config
from deploy.ray.door import add_door
from deploy.ray.link import ServeDirectory, ServeWire
from deploy.ray.scaling import GatewayLoad
from service.gateway.app import create_app
from service.gateway.auth import is_loopback


def build_app(config: Config, engine: str) -> FastAPI:
    """The app, inside an ingress replica.

    Args:
        engine: name of the engine's deployment in the same application.

    Raises:
        BadKeysFile: the API keys file is configured and cannot be used on this host.
    """
    here = serve.get_replica_context()
    handle = serve.get_deployment_handle(engine, here.app_name)
    registry = CollectorRegistry()
    disable_created_metrics()  # type: ignore[no-untyped-call]
    app = create_app(
        config.service,
        config.engine,
        registry=registry,
        directory=ServeDirectory(handle, here.replica_id.unique_id, GatewayLoad(registry)),
        connect=lambda: ServeWire(handle),
    )
    if config.fleet.gateway_port:
        add_door(app, lambda: _address(config.service.host), config.fleet.gateway_port)
    return app


def _address(configured: str) -> str:
    """This host's own address, unless everything is to stay on loopback."""
    own = str(ray.util.get_node_ip_address())
    return configured if is_loopback(configured) and not is_loopback(own) else own
