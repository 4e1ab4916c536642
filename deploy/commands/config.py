"""`rankguard config`: what is configured, and is it right."""

from __future__ import annotations

import json
import os
import sys

import typer

from deploy.commands.options import ConfigFile, Json, examples

NAME = "config"
app = typer.Typer(help="Check and show the configuration.", no_args_is_help=True)


@app.command(epilog=examples("rankguard config check", "rankguard config check -c new.toml"))
def check(config: ConfigFile = None) -> None:
    """Name every problem at once; exit code 2 if there is one."""
    from deploy.config import find_file, load, overlooked

    load(config)
    print(f"{find_file(config) or 'defaults and environment'}: ok")
    for note in overlooked(os.environ):
        print(f"note: {note}", file=sys.stderr)
    about = _about_upgrade(config)
    if about:
        print(about)


@app.command(epilog=examples("rankguard config show", "rankguard config show --json"))
def show(config: ConfigFile = None, as_json: Json = False) -> None:
    """Print effective values, each with its meaning, and without secrets.

    It can be used as a configuration file where URLs with tokens are in files of their own.
    """
    from alerts.masked import masked
    from deploy.config import load
    from deploy.config import show as as_toml

    loaded = load(config)
    settings = loaded.model_copy(update={"alerts": masked(loaded.alerts)})
    if as_json:
        print(json.dumps(settings.model_dump(mode="json"), indent=1))
        return
    about = _about_upgrade(config)
    print((f"# {about}\n" if about else "") + as_toml(settings))


def _about_upgrade(config: ConfigFile) -> str:
    from deploy.config import load
    from deploy.upgrade.overlay import describe

    base = load(config, upgraded=False)
    return describe(base.engine, base.service.state_dir)
