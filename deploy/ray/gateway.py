"""The gateway's app as Serve ingress: the same app, with another directory and another wire."""

from __future__ import annotations

from fastapi import FastAPI
from ray import serve

from deploy.config import Config
from deploy.ray.link import ServeDirectory, ServeWire
from service.gateway.app import create_app


def build_app(config: Config, engine: str) -> FastAPI:
    """The app, inside an ingress replica.

    Args:
        engine: name of the engine's deployment in the same application.

    Raises:
        BadKeysFile: the API keys file is configured and cannot be used on this host.
    """
    handle = serve.get_deployment_handle(engine, serve.get_replica_context().app_name)
    return create_app(
        config.service,
        config.engine,
        directory=ServeDirectory(handle),
        connect=lambda: ServeWire(handle),
    )
