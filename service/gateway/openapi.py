"""The OpenAPI document: made from the routes' table and the models that also read the bodies."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from service.errors import STATUS
from service.gateway.health import ModelList, Readiness
from service.gateway.routes import PlainRoute, ScoringRoute
from service.gateway.schema.problem import ProblemBody

Schema = dict[str, object]

_REF = "#/components/schemas/{model}"
_KEY: list[Schema] = [{"key": []}, {}]
_ID_HEADER: Schema = {
    "X-Request-Id": {
        "description": "the caller's own, or a new one; the log has it",
        "schema": {"type": "string"},
    }
}
_RETRY_HEADER: Schema = {
    "Retry-After": {"description": "seconds to wait", "schema": {"type": "integer"}}
}
_WITH_RETRY = (
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.SERVICE_UNAVAILABLE,
    HTTPStatus.GATEWAY_TIMEOUT,
)
_NOT_HERE = (HTTPStatus.NOT_FOUND,)


def document(
    *,
    title: str,
    version: str,
    description: str,
    routes: Sequence[ScoringRoute],
    plain: Sequence[PlainRoute] = (),
) -> Schema:
    """The whole document.

    Args:
        routes: the scoring routes.
        plain: the others that cost tokens; those that cost none are known here.
    """
    formats = [one for route in routes for one in (route.format, route.other) if one is not None]
    wanted: list[tuple[type[BaseModel], JsonSchemaMode]] = [
        (ProblemBody, "serialization"),
        (Readiness, "serialization"),
        (ModelList, "serialization"),
    ]
    for one in dict.fromkeys(formats):
        wanted += [(one.body, "validation"), (one.answer, "serialization")]
    for other in plain:
        wanted += [(other.body, "validation"), (other.answer, "serialization")]
    _, schemas = models_json_schema(wanted, ref_template=_REF)
    paths: Schema = {route.path: {"post": _scoring(route)} for route in routes}
    paths |= {route.path: {"post": _plain(route)} for route in plain}
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": version, "description": description},
        "paths": paths | _operations(),
        "components": {
            "schemas": schemas["$defs"],
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
    }


def _scoring(route: ScoringRoute) -> Schema:
    formats = [one for one in (route.format, route.other) if one is not None]
    return _costly(
        route.path,
        route.summary,
        [one.body for one in formats],
        [one.answer for one in formats],
    )


def _plain(route: PlainRoute) -> Schema:
    absent = () if route.may_miss else _NOT_HERE
    return _costly(route.path, route.summary, [route.body], [route.answer], absent)


def _costly(
    path: str,
    summary: str,
    bodies: list[type[BaseModel]],
    answers: list[type[BaseModel]],
    absent: tuple[HTTPStatus, ...] = _NOT_HERE,
) -> Schema:
    refused = {status for status in STATUS.values() if status not in absent}
    responses: Schema = {
        "200": {
            "description": "the answer",
            "headers": _ID_HEADER,
            "content": _json(_one_of([_ref(one) for one in answers])),
        }
    }
    for status in sorted(refused):
        responses[str(int(status))] = _problem(status)
    return {
        "summary": summary,
        "description": "\n\n".join((one.__doc__ or "").strip() for one in bodies),
        "operationId": path.strip("/").replace("/", "_"),
        "security": _KEY,
        "requestBody": {
            "required": True,
            "content": _json(_one_of([_ref(one) for one in bodies])),
        },
        "responses": responses,
    }


def _operations() -> Schema:
    ready: Schema = {
        "200": {"description": "requests are served", "content": _json(_ref(Readiness))},
        "503": {"description": "not now, and why", "content": _json(_ref(Readiness))},
    }
    text: Schema = {"text/plain": {"schema": {"type": "string"}}}
    alive: Schema = {
        "200": {"description": "alive", "content": _json({"type": "object"})},
    }
    models: Schema = {
        "200": {"description": "the models", "content": _json(_ref(ModelList))},
        "401": _problem(HTTPStatus.UNAUTHORIZED),
    }
    metrics: Schema = {"200": {"description": "the metrics", "content": text}}
    return {
        "/v1/models": {"get": _get("The model that answers", models, security=_KEY)},
        "/readyz": {"get": _get("Are requests served?", ready)},
        "/health": {"get": _get("The same as /readyz", ready)},
        "/livez": {"get": _get("Does the process run?", alive)},
        "/metrics": {"get": _get("Prometheus metrics", metrics)},
    }


def _get(summary: str, responses: Schema, security: list[Schema] | None = None) -> Schema:
    return {"summary": summary, "responses": responses} | (
        {"security": security} if security else {}
    )


def _problem(status: HTTPStatus) -> Schema:
    headers = _ID_HEADER | (_RETRY_HEADER if status in _WITH_RETRY else {})
    return {
        "description": status.phrase,
        "headers": headers,
        "content": _json(_ref(ProblemBody)),
    }


def _json(schema: Schema) -> Schema:
    return {"application/json": {"schema": schema}}


def _ref(model: type[BaseModel]) -> Schema:
    return {"$ref": _REF.format(model=model.__name__)}


def _one_of(schemas: list[Schema]) -> Schema:
    return schemas[0] if len(schemas) == 1 else {"anyOf": schemas}
