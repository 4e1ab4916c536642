"""`rankguard render`: deployment files from the one configuration."""

from __future__ import annotations

import platform
import sys
from pathlib import Path, PurePosixPath
from typing import Annotated

import typer

from deploy.commands.options import ConfigFile, examples
from deploy.render.kind import Kind

NAME = "render"
EXAMPLES = examples(
    "rankguard render systemd -o units",
    "rankguard render prometheus alertmanager grafana -o monitoring --host gpu-1 --host gpu-2",
    "rankguard render haproxy -o lb --host gpu-1 --host gpu-2",
    "rankguard render compose -o stack --config rankguard.toml",
)


def run(
    kinds: Annotated[list[Kind], typer.Argument(help="what to render")],
    output: Annotated[Path, typer.Option("--output", "-o", help="directory for the files")],
    config: ConfigFile = None,
    prefix: Annotated[
        str, typer.Option(help="virtual environment on the host, for systemd")
    ] = "/opt/rankguard",
    installed_config: Annotated[
        str, typer.Option(help="where the configuration lies on the host, for systemd")
    ] = "/etc/rankguard/rankguard.toml",
    user: Annotated[str, typer.Option(help="system user, for systemd")] = "rankguard",
    host: Annotated[
        list[str] | None, typer.Option(help="a host that runs rankguard; may be given many times")
    ] = None,
) -> None:
    """Write deployment files; several kinds go into a folder each. Nothing is started."""
    from deploy.config import load
    from deploy.render.artefact import write
    from deploy.render.host import Site, unreachable
    from deploy.render.kind import render

    settings = load(config)
    site = Site(
        prefix=PurePosixPath(prefix),
        config_file=PurePosixPath(installed_config),
        user=user,
        hosts=tuple(host or ()),
        this_host=platform.node() or "localhost",
    )
    for sentence in unreachable(settings, site):
        print(f"note: {sentence}", file=sys.stderr)
    for kind in kinds:
        folder = output / kind.value if len(kinds) > 1 else output
        try:
            for path in write(render(kind, settings, site), folder):
                print(path)
        except OSError as error:
            print(f"{folder}: {error.strerror}", file=sys.stderr)
            raise typer.Exit(2) from None
