"""What a run was made by and on: the `"run"` of its file."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from deploy.evaluate import provenance
from monitor.collectors.nvml import NvmlCollector, library_is_there
from monitor.gpu import Field
from monitor.model import Unavailable

_ASK_VERSIONS = """
import json
from importlib.metadata import PackageNotFoundError, packages_distributions, version
known = packages_distributions()
found = {}
for module in ("vllm", "torch", "transformers", "triton", "flashinfer"):
    for name in known.get(module, ()):
        found[name] = version(name)
print(json.dumps(found))
"""
_LIMIT_S = 120.0


@dataclass(frozen=True, slots=True)
class Device:
    """The cards of this host in words; nothing that names one."""

    names: tuple[str, ...]
    driver: str
    memory_bytes: tuple[float, ...]


def device() -> Device | None:
    """None where there is no driver that answers."""
    if not library_is_there():
        return None
    collector = NvmlCollector(start_s=30.0, start_look_s=30.0)
    try:
        found = collector.read()
    finally:
        collector.close()
    if isinstance(found.driver, Unavailable):
        return None
    return Device(
        tuple(sample.card.name for sample in found.cards),
        found.driver,
        tuple(sample.number(Field.MEMORY_TOTAL) or 0.0 for sample in found.cards),
    )


def observe(python: str, packages: Sequence[str], *, fake: bool) -> dict[str, Any]:
    """Command, versions, machine, cards and start time.

    Args:
        python: interpreter that the engine runs with; its versions are asked for.
        fake: the driver is a stand-in; the file must never be taken for a measurement.
    """
    found = device()
    cards: dict[str, Any] = {"names": [], "driver": "", "memory_gib": []}
    if found is not None:
        cards = {
            "names": list(found.names),
            "driver": found.driver,
            "memory_gib": [round(size / 2**30, 1) for size in found.memory_bytes],
        }
    return {
        **provenance.observe(*packages).to_json(),
        "command": shlex.join(["python", "-m", "deploy.gpu", *sys.argv[1:]]),
        "device": cards,
        "fake": fake,
        "engine_versions": versions(python),
    }


def versions(python: str) -> dict[str, str]:
    """Of the engine's packages; empty where they are not there."""
    try:
        said = subprocess.run(
            [python, "-c", _ASK_VERSIONS],
            capture_output=True,
            text=True,
            timeout=_LIMIT_S,
            check=False,
            env={**os.environ},
        )
        return dict(json.loads(said.stdout))
    except (OSError, subprocess.SubprocessError, ValueError):
        return {}


def has_vllm(python: str) -> bool:
    """Whether the interpreter has vLLM, for cards or for the CPU."""
    return any(name.startswith("vllm") for name in versions(python))
