"""The files that the configuration names for keys and secrets: there, readable, private."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

from alerts.settings import AlertSettings
from deploy.config import Config
from deploy.doctor.finding import Finding, fail, ok, warn
from service.gateway.auth import BadKeysFile, read_keys


def check_secrets(config: Config) -> list[Finding]:
    """API keys and the receivers' secrets; never shows what is in them."""
    receivers = [check_file(name, path) for name, path in secret_files(config.alerts)]
    return [*check_keys(config.service.api_keys_file), *receivers]


def secret_files(settings: AlertSettings) -> Iterator[tuple[str, Path]]:
    """Every file that a receiver reads a secret from, with the receiver's name."""
    for receiver in settings.receivers:
        for field in type(receiver).model_fields:
            value = getattr(receiver, field)
            if field.endswith("_file") and field != "ca_file" and isinstance(value, Path):
                yield f"receiver {receiver.name}", value


def check_keys(path: Path | None) -> list[Finding]:
    """The API keys' file, when there is to be one."""
    if path is None:
        return []
    try:
        keys = read_keys(path)
    except BadKeysFile as error:
        fix = "one `name:sha256-hex` a line: printf %s KEY | sha256sum"
        return [fail("api keys", str(error), fix)]
    return [ok("api keys", f"{len(keys)} in {path}")]


def check_file(name: str, path: Path) -> Finding:
    """One secret's file."""
    try:
        mode = path.stat().st_mode
        with path.open("rb") as file:
            empty = not file.read(1)
    except OSError as error:
        return fail(name, f"{path}: {error.strerror}", "make the file, readable for this user")
    if empty:
        return fail(name, f"{path} is empty", "write the secret into it")
    if mode & (stat.S_IROTH | stat.S_IWOTH):
        return warn(name, f"{path} can be read by everybody", f"chmod 640 {path}")
    return ok(name, f"{path} can be read")
