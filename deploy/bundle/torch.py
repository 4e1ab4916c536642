"""A host that has torch already: which vLLM fits it, and wheels without torch's gigabytes.

A stand-in wheel of the same version takes torch's place while pip resolves, so that neither torch
nor what only torch needs (the CUDA libraries, Triton) is fetched.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from deploy.bundle.wheels import BundleError


@dataclass(frozen=True, slots=True)
class HostTorch:
    """The host's torch, and the vLLM that was built for it."""

    version: str
    vllm: str

    @property
    def pinned(self) -> str:
        """The version of the stand-in: `torch==2.11.0` accepts a local version of it."""
        return f"{self.version}+host"

    def constraints(self) -> str:
        """Lines of a pip constraints file."""
        return f"torch=={self.pinned}\nvllm=={self.vllm}\n"


KNOWN: Mapping[str, HostTorch] = {
    "2.11": HostTorch("2.11.0", "0.25.0"),
    "2.13": HostTorch("2.13.0", "0.32.0"),
    "2.14": HostTorch("2.14.0", "0.33.0"),
}
"""From `Requires-Dist: torch==…` in the metadata of vLLM's wheels, read for 0.25.0 to 0.33.0: 0.25
and 0.26 need 2.11.0, 0.27 to 0.32 need 2.13.0, 0.33 needs 2.14.0. Chosen is what we run."""


def host_torch(text: str) -> HostTorch:
    """The entry for a version as torch says it: `2.11`, `2.11.0`, `2.11.0+cu130`.

    Raises:
        BundleError: no vLLM is known for it; names those that are.
    """
    release = text.strip().partition("+")[0].split(".")
    found = KNOWN.get(".".join(release[:2]))
    if found is None or (len(release) > 2 and ".".join(release) != found.version):
        known = ", ".join(f"{each.version} (vLLM {each.vllm})" for each in KNOWN.values())
        raise BundleError(
            f"no vLLM is known for torch {text}; known: {known}. Without --torch the bundle"
            " brings its own torch"
        )
    return found


def write_stand_in(folder: Path, torch: HostTorch) -> Path:
    """The stand-in wheel: metadata alone."""
    path = folder / f"torch-{torch.pinned}-py3-none-any.whl"
    info = f"torch-{torch.pinned}.dist-info"
    files = {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: torch\nVersion: {torch.pinned}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{name},,\n" for name in [*files, f"{info}/RECORD"])
    with zipfile.ZipFile(path, "w") as wheel:
        for name, text in {**files, f"{info}/RECORD": record}.items():
            wheel.writestr(name, text)
    return path
