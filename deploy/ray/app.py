"""The Serve application: `import_path: deploy.ray.app:build` in a Serve configuration.

Builds both deployments; how many, how large and how patient is what `rankguard render ray` writes.
"""

from __future__ import annotations

from typing import Any

from ray import serve
from ray.serve.config import RequestRouterConfig

from deploy.ray.engine import EngineReplica
from deploy.ray.gateway import build_app
from deploy.ray.settings import on_this_host

ENGINE = "Engine"
GATEWAY = "Gateway"
ROUTER = "deploy.ray.router.ChosenFirst"


def build(args: dict[str, Any]) -> Any:
    """The application with the settings of `args`: sections as in rankguard.toml.

    The settings travel in the Serve configuration, so that all hosts run the same ones and a
    changed setting is a rolling update.

    Raises:
        pydantic.ValidationError: they are not valid.
    """
    on_this_host(args)
    engine = serve.deployment(
        EngineReplica,
        name=ENGINE,
        request_router_config=RequestRouterConfig(request_router_class=ROUTER),
    ).bind(args)

    def app() -> Any:
        return build_app(on_this_host(args), ENGINE)

    return serve.deployment(serve.ingress(app)(), name=GATEWAY).bind(engine)
