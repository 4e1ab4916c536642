"""`/livez`, `/readyz`, `/health` and `/v1/models`: what the gateway says of itself."""

from __future__ import annotations

from http import HTTPStatus

from pydantic import BaseModel
from pydantic_core import to_json
from starlette.responses import Response

from service.gateway.replicas import Replicas


class ReplicaReadiness(BaseModel):
    """One replica as the gateway sees it."""

    id: str
    state: str
    routable: bool
    reason: str


class Readiness(BaseModel):
    """Whether requests are served, and why not."""

    status: str
    reason: str | None
    replicas: list[ReplicaReadiness]


class ServedModel(BaseModel):
    """A model; `notice` is what its engine wants users to know."""

    id: str
    object: str
    owned_by: str
    engine: str | None = None
    fingerprint: str | None = None
    notice: str | None = None


class ModelList(BaseModel):
    """The models that answer."""

    object: str
    data: list[ServedModel]


def live() -> Response:
    """The event loop runs; nothing more."""
    return _json(HTTPStatus.OK, {"status": "alive"})


def ready(replicas: Replicas, *, draining: bool) -> Response:
    """200 while requests would be served; 503 with the reason otherwise."""
    reason = "draining" if draining else replicas.not_ready_reason()
    body = {
        "status": "ready" if reason is None else "not_ready",
        "reason": reason,
        "replicas": [
            {
                "id": one.id,
                "state": one.manifest.state.value,
                "routable": one.routable,
                "reason": one.reason,
            }
            for one in replicas.all()
        ],
    }
    return _json(HTTPStatus.OK if reason is None else HTTPStatus.SERVICE_UNAVAILABLE, body)


def models(replicas: Replicas, configured: str) -> Response:
    """The model that answers, in OpenAI's list shape.

    Args:
        configured: its name as long as no replica said its own.
    """
    served = replicas.routable() or replicas.all()
    if not served:
        entries = [{"id": configured, "object": "model", "owned_by": "rankguard"}]
    else:
        manifests = {one.manifest.model: one.manifest for one in served}.values()
        entries = [
            {
                "id": manifest.model,
                "object": "model",
                "owned_by": "rankguard",
                "engine": manifest.engine,
                "fingerprint": manifest.fingerprint,
                "notice": manifest.notice,
            }
            for manifest in manifests
        ]
    return _json(HTTPStatus.OK, {"object": "list", "data": entries})


def _json(status: HTTPStatus, body: object) -> Response:
    return Response(to_json(body), status, media_type="application/json")
