"""`rankguard bundle`: one directory from which a host without network is installed."""

from __future__ import annotations

import platform
import sys
from pathlib import Path
from typing import Annotated

import typer

from deploy.commands.options import ConfigFile, examples

NAME = "bundle"
EXAMPLES = examples(
    "rankguard bundle -o rankguard-bundle",
    "rankguard bundle -o rankguard-bundle --extras vllm,ui --model /models/Qwen3-Reranker-0.6B",
    "rankguard bundle -o rankguard-bundle --python 3.10 --config rankguard.toml",
)
_MIB = 2**20


def run(
    output: Annotated[Path, typer.Option("--output", "-o", help="a new directory")],
    config: ConfigFile = None,
    extras: Annotated[str, typer.Option(help="extras of rankguard, such as vllm,ui")] = "",
    model: Annotated[Path | None, typer.Option(help="a model folder to take along")] = None,
    python: Annotated[
        str, typer.Option(help="Python of the host, such as 3.10; default this one's")
    ] = "",
) -> None:
    """Collect wheels, model, units, dashboards and an installer; the host needs Python only."""
    from deploy.bundle.make import Order, make
    from deploy.bundle.wheels import BundleError, Target
    from deploy.config import find_file, load
    from deploy.render.host import Site

    settings = load(config)
    file = find_file(config)
    order = Order(
        extras=tuple(filter(None, (name.strip() for name in extras.split(",")))),
        target=Target(python),
        model=model,
        config_text=file.read_text("utf-8") if file else "",
    )
    site = Site(this_host=platform.node() or "localhost")

    def say(text: str) -> None:
        print(f"{text} …", file=sys.stderr, flush=True)

    try:
        files = make(output, settings, site, order, say)
    except (BundleError, OSError) as error:
        print(error, file=sys.stderr)
        raise typer.Exit(2) from None
    size = sum(path.stat().st_size for path in files)
    print(f"{output}: {len(files)} files, {size / _MIB:.0f} MiB; on the host: ./install.sh")
