"""The one configuration: `rankguard.toml` and the environment become settings, a model a section.

Knows every section; the sections know nothing of each other.
"""

from __future__ import annotations

import difflib
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from alerts.settings import AlertSettings
from deploy import variables
from deploy.fleet.settings import FleetSettings
from deploy.ui.settings import UiSettings
from deploy.upgrade import overlay
from monitor.settings import MonitorSettings
from service.gateway.auth import is_loopback
from service.settings import EngineSettings, ServiceSettings

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

DEFAULT_FILE = Path("rankguard.toml")
_WORDS = {
    "model_type": "should be a section with keys",
    "tuple_type": "should be a list",
    "path_type": "should be a path, in quotes",
    "union_tag_not_found": "has no type",
}
"""For people who write TOML and not Python; what is not here is pydantic's own."""


class Config(BaseModel):
    """All sections. No file at all is a working default."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    service: ServiceSettings = ServiceSettings()
    engine: EngineSettings = EngineSettings()
    monitor: MonitorSettings = MonitorSettings()
    alerts: AlertSettings = AlertSettings()
    fleet: FleetSettings = FleetSettings()
    ui: UiSettings = UiSettings()


@dataclass(eq=False)  # neither frozen nor slotted: Python itself sets an exception's traceback
class ConfigError(Exception):
    """Everything that is wrong with the configuration, a line each."""

    source: str
    problems: tuple[str, ...]

    def __str__(self) -> str:
        return "\n".join(f"{self.source}: {problem}" for problem in self.problems)


def find_file(path: Path | None) -> Path | None:
    """The file to read: the one named, else `rankguard.toml` here, else none."""
    if path is not None:
        return path
    return DEFAULT_FILE if DEFAULT_FILE.is_file() else None


def load(
    path: Path | None, environ: Mapping[str, str] | None = None, *, upgraded: bool = True
) -> Config:
    """Read file and environment; the environment wins.

    Args:
        upgraded: with the [engine] that an upgrade put in its place; see `deploy.upgrade.overlay`.

    Raises:
        ConfigError: with all problems at once.
    """
    environ = os.environ if environ is None else environ
    source, body = _read(find_file(path))
    names = variables.in_environment(environ)
    lost = [
        f"{name}: [{'.'.join(place[:-1])}] is no section"
        for place, name in names.items()
        if not variables.put(body, place, environ[name])
    ]
    if lost:
        raise ConfigError(source, tuple(lost))
    config = _validated(source, body, names)
    if not upgraded:
        return config
    try:
        engine = overlay.effective(config.engine, config.service.state_dir)
    except overlay.OverlayError as error:
        raise ConfigError(source, (str(error),)) from None
    return config.model_copy(update={"engine": engine})


def revised(config: Config, changes: Mapping[str, str]) -> Config:
    """The configuration with some of [engine] changed, `engine.vllm.dtype` -> text.

    A text is read as that of a variable would be.

    Raises:
        ConfigError: with all problems at once.
    """
    body = {"engine": config.engine.model_dump(mode="json", exclude_defaults=True)}
    for name, value in changes.items():
        variables.put(body, name.split("."), value)
    return config.model_copy(update={"engine": _validated("--set", body).engine})


def overlooked(environ: Mapping[str, str]) -> list[str]:
    """Sentences on variables that are not read and look as if they should be."""
    sections = {name: _keys([name]) for name in Config.model_fields}
    return variables.overlooked(environ, sections)


def _validated(
    source: str, body: dict[str, Any], names: Mapping[variables.Place, str] | None = None
) -> Config:
    try:
        config = Config.model_validate(body)
    except ValidationError as error:
        problems = [_problem(item, names or {}) for item in error.errors(include_url=False)]
        raise ConfigError(source, tuple(problems)) from None
    problems = _cross_check(config)
    if problems:
        raise ConfigError(source, tuple(problems))
    return config


def _read(path: Path | None) -> tuple[str, dict[str, Any]]:
    if path is None:
        return "configuration", {}
    try:
        # Windows' editors begin a file with a byte order mark
        return str(path), tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise ConfigError(str(path), ("there is no such file",)) from None
    except UnicodeDecodeError:
        raise ConfigError(str(path), ("cannot be read: it is not UTF-8",)) from None
    except OSError as error:
        raise ConfigError(str(path), (f"cannot be read: {error.strerror}",)) from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(str(path), (f"not TOML: {error}",)) from None


def _problem(item: Any, names: Mapping[variables.Place, str]) -> str:
    where = [str(part) for part in item["loc"]]
    *sections, key = where
    place = f"[{'.'.join(sections)}] {key}" if sections else f"[{key}]"
    unknown = item["type"] == "extra_forbidden"
    variable = variables.origin(where, names, unknown=unknown)
    source = f" (from {variable})" if variable else ""
    if unknown:
        return f"{place}: unknown key{_suggestion(sections, key)}{source}"
    message = _WORDS.get(item["type"], item["msg"].removeprefix("Value error, "))
    return f"{place}: {message} (got {_shown(key, item['input'])}){source}"


def _shown(key: str, value: object) -> str:
    """A wrong value as it may be printed: short, and nothing that may be or hold a secret."""
    if any(word in key for word in ("secret", "key", "token", "password", "url", "header")):
        return "a value that is not shown"
    if not isinstance(value, str | int | float | bool):
        return f"a {type(value).__name__}"
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _suggestion(sections: Sequence[str], key: str) -> str:
    close = difflib.get_close_matches(key, _keys(sections), n=1)
    return f"; did you mean {close[0]}?" if close else ""


def _keys(sections: Sequence[str]) -> set[str]:
    """The keys of a section; in a list, whose parts are a number and a type, of that type."""
    models: list[type[BaseModel]] = [Config]
    for section in sections:
        inner = [m.model_fields[section] for m in models if section in m.model_fields]
        if inner:
            models = [model for field in inner for model in _models(field.annotation)]
            continue
        of_type = [m for m in models if section in _types(m)]
        models = of_type or (models if section.isdigit() else [])
    return {name for model in models for name in model.model_fields}


def _models(annotation: Any) -> list[type[BaseModel]]:
    """Every settings model that a field may hold."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for inner in get_args(annotation) for model in _models(inner)]


def _types(model: type[BaseModel]) -> tuple[Any, ...]:
    """What `type` is in an entry of a list that this model reads."""
    field = model.model_fields.get("type")
    return () if field is None else get_args(field.annotation)


def _cross_check(config: Config) -> list[str]:
    """What no single field can know."""
    problems = []
    if not is_loopback(config.service.host) and config.service.api_keys_file is None:
        problems.append(
            f"[service] host: {config.service.host} is beyond loopback, and there are no API keys;"
            ' set api_keys_file (see docs/operations.md), or host = "127.0.0.1"'
        )
    if config.service.port == config.monitor.port and config.service.port != 0:
        problems.append("[monitor] port: the same as [service] port")
    return problems + _check_ui(config)


def _check_ui(config: Config) -> list[str]:
    ui = config.ui
    if ui.enabled is False:
        return []
    problems = []
    if not is_loopback(ui.host) and ui.auth_file is None:
        problems.append(
            f"[ui] host: {ui.host} is beyond loopback, and nobody would be asked who they are;"
            ' set auth_file (it may be the API keys file), or host = "127.0.0.1"'
        )
    if ui.port != 0 and ui.port in (config.service.port, config.monitor.port):
        problems.append("[ui] port: the same as [service] or [monitor] port")
    return problems


def show(config: Config) -> str:
    """Effective values as TOML, each with its help. Secrets are files, so none can appear."""
    lines: list[str] = []
    for name in Config.model_fields:
        _show_section(name, getattr(config, name), lines)
    return "\n".join(lines).strip() + "\n"


def _show_section(name: str, section: BaseModel, lines: list[str]) -> None:
    lines += ["", f"[{name}]"]
    nested: list[tuple[str, BaseModel]] = []
    # after the keys: in TOML, what follows a table's heading belongs to that table
    tables: list[tuple[str, BaseModel]] = []
    for key, field in type(section).model_fields.items():
        value = getattr(section, key)
        if isinstance(value, BaseModel):
            nested.append((f"{name}.{key}", value))
            continue
        if isinstance(value, tuple | list) and value and isinstance(value[0], BaseModel):
            tables += [(f"{name}.{key}", item) for item in value]
            continue
        if field.description:
            lines.append(f"# {field.description}")
        lines.append(f"# {key} is not set" if value is None else f"{key} = {toml_literal(value)}")
    for inner, model in nested:
        _show_section(inner, model, lines)
    for table, item in tables:
        _show_item(table, item, lines)


def _show_item(name: str, item: BaseModel, lines: list[str]) -> None:
    lines += ["", f"[[{name}]]"]
    for key, value in item.model_dump(mode="json", exclude_none=True).items():
        lines.append(f"{key} = {toml_literal(value)}")


def toml_literal(value: object) -> str:
    """A value as TOML has it, on one line."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, Mapping):
        inner = ", ".join(f"{json.dumps(str(k))} = {toml_literal(v)}" for k, v in value.items())
        return f"{{ {inner} }}" if inner else "{}"
    if isinstance(value, list | tuple | set | frozenset):
        return f"[{', '.join(toml_literal(item) for item in value)}]"
    text = value.value if hasattr(value, "value") else value
    return json.dumps(str(text), ensure_ascii=False)
