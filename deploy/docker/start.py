"""What runs first in the container: settings that only a container has, then the command.

Everything that is kept lies in /workspace. Inside a container the gateway must listen beyond
loopback, and beyond loopback it wants API keys: without any, one is made here.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import sys
from collections.abc import Mapping
from pathlib import Path

from deploy.config import Config, ConfigError, load

WORKSPACE = Path("/workspace")
_LOCAL = ("serve", "up")


class NotWritable(Exception):
    """The volume cannot be written by this user; says what to do."""


def environment(workspace: Path, given: Mapping[str, str]) -> dict[str, str]:
    """Defaults for a container; what the operator gave wins.

    Raises:
        NotWritable: nothing can be kept in the workspace.
        ConfigError: the configuration file is wrong.
    """
    config = workspace / "rankguard.toml"
    defaults = {
        "RANKGUARD_SERVICE__STATE_DIR": str(workspace / "state"),
        "RANKGUARD_SERVICE__HOST": "0.0.0.0",
        "RANKGUARD_MONITOR__HOST": "0.0.0.0",
        "XDG_CACHE_HOME": str(workspace / "cache"),
        **({"RANKGUARD_CONFIG": str(config)} if config.is_file() else {}),
    }
    whole = {**defaults, **given}
    host = whole["RANKGUARD_SERVICE__HOST"]
    if "RANKGUARD_SERVICE__API_KEYS_FILE" not in whole and not host.startswith(("127.", "::1")):
        whole["RANKGUARD_SERVICE__API_KEYS_FILE"] = str(_keys_file(workspace, whole))
    return {**_playground(workspace, whole), **whole}


def _playground(workspace: Path, environment_: Mapping[str, str]) -> dict[str, str]:
    """The page is as open as the gateway: whoever has one of its keys may open it."""
    keys = environment_.get("RANKGUARD_SERVICE__API_KEYS_FILE")
    if keys is None:
        return {}
    ui = _configured(environment_.get("RANKGUARD_CONFIG")).ui
    found = {"RANKGUARD_UI__HOST": "0.0.0.0"}
    if ui.auth_file is None:
        found["RANKGUARD_UI__AUTH_FILE"] = keys
    if ui.api_key_file is None and keys == str(workspace / "api_keys"):
        found["RANKGUARD_UI__API_KEY_FILE"] = str(workspace / "api_key")
    return found


def _keys_file(workspace: Path, environment_: Mapping[str, str]) -> Path:
    """The configured file of keys, or one with a key made now and kept beside it."""
    configured = _configured(environment_.get("RANKGUARD_CONFIG")).service.api_keys_file
    if configured is not None:
        return configured
    hashes, plain = workspace / "api_keys", workspace / "api_key"
    if not hashes.is_file():
        key = secrets.token_urlsafe(32)
        try:
            plain.touch(mode=0o600)
            plain.write_text(f"{key}\n", encoding="ascii")
            hashes.write_text(f"container:{hashlib.sha256(key.encode()).hexdigest()}\n", "ascii")
        except OSError as error:
            raise NotWritable(f"{plain}: {error.strerror}") from None
    return hashes


def _configured(config: str | None) -> Config:
    return load(Path(config), {}) if config is not None else Config()


def main(arguments: list[str]) -> int:  # noqa: RET503 - execve does not come back
    """Set the environment and become `rankguard ARGUMENTS`."""
    try:
        whole = environment(WORKSPACE, os.environ)
    except NotWritable as error:
        print(f"the volume cannot be written: {error}", file=sys.stderr)
        print("  fix: docker run --user $(id -u):$(id -g) …, or chown 10001 it", file=sys.stderr)
        return 2
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    keys = whole.get("RANKGUARD_SERVICE__API_KEYS_FILE", "")
    if arguments[:1] and arguments[0] in _LOCAL and keys == str(WORKSPACE / "api_keys"):
        print(
            f"API key: in {WORKSPACE / 'api_key'} (Authorization: Bearer …);"
            " the page on port 7860 takes it as the password, with any name",
            file=sys.stderr,
        )
    command = [sys.executable, "-m", "deploy", *arguments]
    os.execve(sys.executable, command, whole)  # noqa: S606 - no shell: it becomes the command


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
