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
    "rankguard bundle -o parts --parts 60M --extras vllm --torch 2.11 --python 3.12",
)
_MIB = 2**20


def run(
    output: Annotated[Path, typer.Option("--output", "-o", help="a new directory")],
    config: ConfigFile = None,
    extras: Annotated[
        str, typer.Option("--extras", "--extra", help="extras of rankguard, such as vllm,ui")
    ] = "",
    model: Annotated[Path | None, typer.Option(help="a model folder to take along")] = None,
    python: Annotated[
        str, typer.Option(help="Python of the host, such as 3.10; default this one's")
    ] = "",
    torch: Annotated[
        str, typer.Option(help="torch that the host has, such as 2.11: it is left out")
    ] = "",
    without: Annotated[
        str, typer.Option(help="packages to leave out, such as flashinfer-cubin")
    ] = "",
    parts: Annotated[
        str, typer.Option(help="cut into parts of this size, such as 60M, with a join script")
    ] = "",
) -> None:
    """Collect wheels, model, units, dashboards and an installer; the host needs Python only."""
    from deploy.bundle.make import Order, make
    from deploy.bundle.parts import make_parts, size_of
    from deploy.bundle.torch import host_torch
    from deploy.bundle.wheels import BundleError, Target
    from deploy.config import find_file, load
    from deploy.render.host import Site

    settings = load(config)
    file = find_file(config)
    try:
        size = size_of(parts) if parts else 0
        on_host = host_torch(torch) if torch else None
    except BundleError as error:
        print(error, file=sys.stderr)
        raise typer.Exit(2) from None
    order = Order(
        extras=_names(extras),
        target=Target(python),
        model=model,
        config_text=file.read_text("utf-8") if file else "",
        torch=on_host,
        without=_names(without),
    )
    site = Site(this_host=platform.node() or "localhost")

    def say(text: str) -> None:
        print(f"{text} …", file=sys.stderr, flush=True)

    try:
        if size:
            files = make_parts(output, size, lambda place: make(place, settings, site, order, say))
        else:
            files = make(output, settings, site, order, say)
    except (BundleError, OSError) as error:
        print(error, file=sys.stderr)
        raise typer.Exit(2) from None
    total = sum(path.stat().st_size for path in files)
    then = "python3 join.py" if size else "./install.sh"
    print(f"{output}: {len(files)} files, {total / _MIB:.0f} MiB; on the host: {then}")


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())
