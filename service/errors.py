"""One error family and the one table that turns an error into an HTTP status.

Library errors become one of these at the boundary where they happen.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any


class ServiceError(Exception):
    """Base: what went wrong, in words for the caller.

    Attributes:
        param: the field that is wrong, with its index: `documents[3]`. None when no field is.
        retry_after_s: when it makes sense to come back. None when it does not.
    """

    def __init__(
        self, message: str, *, param: str | None = None, retry_after_s: float | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.retry_after_s = retry_after_s


class Malformed(ServiceError):
    """The body is not what the endpoint reads at all: not JSON, not UTF-8, not an object."""


class Unauthorized(ServiceError):
    """No API key, or not one of ours."""


class NotFound(ServiceError):
    """No such model or path."""


class TooLarge(ServiceError):
    """The body is over the limit in bytes."""


class BodyTimeout(ServiceError):
    """The client did not send its body in time."""


class WrongContentType(ServiceError):
    """The body is not declared as JSON."""


class InvalidValue(ServiceError):
    """A field's value is wrong; `param` names it."""

    def reworded(self, message: str, param: str | None) -> InvalidValue:
        """The same error in other words: as the caller numbers and names things."""
        return type(self)(message, param=param, retry_after_s=self.retry_after_s)


class PoisonRequest(InvalidValue):
    """Engines ended, again and again, while they worked on it; `param` names the first text."""


class OverLimit(ServiceError):
    """This caller, or everybody together, asks for more than the limits allow now."""


class EngineFailed(ServiceError):
    """The engine raised while scoring; the same request may work on another replica."""


class NoCapacity(ServiceError):
    """No replica can take it: none ready, draining, or still loading."""


class DeadlineExceeded(ServiceError):
    """The request's time is over."""


STATUS: dict[type[ServiceError], HTTPStatus] = {
    Malformed: HTTPStatus.BAD_REQUEST,
    Unauthorized: HTTPStatus.UNAUTHORIZED,
    NotFound: HTTPStatus.NOT_FOUND,
    BodyTimeout: HTTPStatus.REQUEST_TIMEOUT,
    TooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    WrongContentType: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    InvalidValue: HTTPStatus.UNPROCESSABLE_ENTITY,
    PoisonRequest: HTTPStatus.UNPROCESSABLE_ENTITY,
    OverLimit: HTTPStatus.TOO_MANY_REQUESTS,
    EngineFailed: HTTPStatus.INTERNAL_SERVER_ERROR,
    NoCapacity: HTTPStatus.SERVICE_UNAVAILABLE,
    DeadlineExceeded: HTTPStatus.GATEWAY_TIMEOUT,
}

CODE: dict[type[ServiceError], str] = {
    Malformed: "malformed",
    Unauthorized: "unauthorized",
    NotFound: "not_found",
    BodyTimeout: "body_timeout",
    TooLarge: "body_too_large",
    WrongContentType: "wrong_content_type",
    InvalidValue: "invalid_value",
    PoisonRequest: "poison_request",
    OverLimit: "over_limit",
    EngineFailed: "engine_failed",
    NoCapacity: "no_capacity",
    DeadlineExceeded: "deadline_exceeded",
}


def status_of(error: ServiceError) -> HTTPStatus:
    return STATUS[type(error)]


def error_body(error: ServiceError) -> dict[str, Any]:
    """The body of every error answer: `{"error": {message, type, param, code}}`."""
    status = status_of(error)
    kind = "invalid_request_error" if status < HTTPStatus.INTERNAL_SERVER_ERROR else "server_error"
    return {
        "error": {
            "message": error.message,
            "type": kind,
            "param": error.param,
            "code": CODE[type(error)],
        }
    }
