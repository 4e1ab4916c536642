"""The operator's own body for the generic webhook, in Jinja's sandbox."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2
import jinja2.sandbox

from alerts.sender import ReceiverError

MAX_BYTES = 512_000
"""More than any webhook takes."""


class TemplateError(ReceiverError):
    """The template cannot be read, does not parse, or fails; says where."""


class _Names(dict[str, Any]):
    """Labels or annotations: one that is not there is empty, as in Alertmanager's templates."""

    def __missing__(self, name: str) -> str:
        return ""


_OPEN = frozenset({"labels", "annotations", "groupLabels", "commonLabels", "commonAnnotations"})
"""The fields whose names differ from alert to alert: a card's alert has no replica."""


def _lenient(value: Any, name: str = "") -> Any:
    if isinstance(value, Mapping):
        kind = _Names if name in _OPEN else dict
        return kind({key: _lenient(each, key) for key, each in value.items()})
    if isinstance(value, list):
        return [_lenient(each) for each in value]
    return value


class BodyTemplate:
    """Renders a body from the version-4 fields; `| json` writes a value as JSON.

    A label or annotation that an alert does not have is empty; any other unknown name is an error.
    """

    def __init__(self, text: str, name: str) -> None:
        """Parse.

        Raises:
            TemplateError: it does not parse.
        """
        environment = jinja2.sandbox.ImmutableSandboxedEnvironment(
            undefined=jinja2.StrictUndefined,
            autoescape=False,
        )
        environment.filters["json"] = _json
        self._name = name
        try:
            self._template = environment.from_string(text)
        except jinja2.TemplateError as error:
            raise TemplateError(f"{name}: {error}") from error

    def render(self, fields: Mapping[str, object]) -> bytes:
        """The body as UTF-8.

        Raises:
            TemplateError: a field does not exist, or the body is too large.
        """
        try:
            body = self._template.render(_lenient(fields)).encode("utf-8", "replace")
        except Exception as error:
            raise TemplateError(f"{self._name}: {type(error).__name__}: {error}") from error
        if len(body) > MAX_BYTES:
            raise TemplateError(f"{self._name}: the body is larger than {MAX_BYTES} bytes")
        return body


def load_template(path: Path) -> BodyTemplate:
    """Read and parse the file.

    Raises:
        TemplateError: it cannot be read or does not parse.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise TemplateError(f"{path}: {type(error).__name__}") from None
    return BodyTemplate(text, path.name)


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
