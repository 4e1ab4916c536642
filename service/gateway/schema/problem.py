"""What is wrong with a value, in the words of the API: the field, its index, what is wanted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from service.errors import InvalidValue

_Model = TypeVar("_Model", bound=BaseModel)


class Problem(BaseModel):
    """One error."""

    message: str
    type: str
    param: str | None
    code: str


class ProblemBody(BaseModel):
    """The body of every answer that is not a success."""

    error: Problem


def validated(model: type[_Model], fields: dict[str, object]) -> _Model:
    """The fields as the model.

    Raises:
        InvalidValue: names the first field that is wrong, with its index.
    """
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        raise _invalid(
            error.errors(include_url=False, include_input=False, include_context=True)
        ) from None


def _invalid(errors: Sequence[ErrorDetails]) -> InvalidValue:
    # a union reports every alternative it tried: the longest path is the one that was meant
    first = errors[0]
    start = _place(first)
    alternatives = [one for one in errors if one["loc"][: len(start)] == tuple(start)]
    meant = max(alternatives, key=lambda one: len(_place(one)), default=first)
    param = _param(_place(meant)) or "body"
    if len(alternatives) > 1 and len(_place(meant)) == len(start):
        wanted = " or ".join(dict.fromkeys(_wanted(one) for one in alternatives))
    else:
        wanted = _wanted(meant)
    return InvalidValue(f"{param} {wanted}", param=param)


_ALTERNATIVES = {"str", "list[str]"}
"""What pydantic calls the alternatives of our unions; models begin with a capital."""


def _place(error: ErrorDetails) -> list[str | int]:
    """The path to the value, without the names of a union's alternatives."""
    return [
        part
        for part in error["loc"]
        if isinstance(part, int) or (part.islower() and part not in _ALTERNATIVES)
    ]


def _param(place: Sequence[str | int]) -> str:
    param = ""
    for part in place:
        if isinstance(part, int):
            param += f"[{part}]"
        else:
            param += f".{part}" if param else part
    return param


_WANTED = {
    "missing": "is missing",
    "string_type": "must be a string",
    "int_type": "must be an integer",
    "bool_type": "must be true or false",
    "list_type": "must be a list",
    "model_type": "an object with text",
    "extra_forbidden": "is not known",
}


def _wanted(error: ErrorDetails) -> str:
    context = error.get("ctx", {})
    kind = error["type"]
    if kind in ("greater_than_equal", "less_than_equal"):
        side = "least" if kind == "greater_than_equal" else "most"
        return f"must be at {side} {context.get('ge', context.get('le'))}"
    if kind == "too_long":
        return f"must hold at most {context.get('max_length')} items"
    if kind in ("too_short", "string_too_short"):
        return "must not be empty"
    if kind == "value_error":
        return str(context.get("error", "is not valid"))
    return _WANTED.get(kind, error["msg"][:1].lower() + error["msg"][1:])
