"""A host that has torch already: which vLLM fits it, and wheels without torch's gigabytes.

Stand-in wheels of the same versions take the place of torch, Triton and the CUDA libraries while
pip resolves, so that none of them is fetched.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from deploy.bundle.wheels import BundleError


@dataclass(frozen=True, slots=True)
class HostTorch:
    """The host's torch, and the vLLM that was built for it.

    Attributes:
        brings: what torch's own requirements put beside it, by name: Triton, the CUDA libraries.
            Another version of them would be found before the host's.
    """

    version: str
    vllm: str
    brings: Mapping[str, str]

    @property
    def stand_ins(self) -> Mapping[str, str]:
        """Versions by name: `==2.11.0` accepts a local version of it, and nobody else has one."""
        return {
            name: f"{version}+host"
            for name, version in {"torch": self.version, **self.brings}.items()
        }

    def constraints(self) -> str:
        """Lines of a pip constraints file."""
        pins = {**self.stand_ins, "vllm": self.vllm}
        return "".join(f"{name}=={version}\n" for name, version in pins.items())


_CUDA_13 = {
    "nvidia-cublas": "13.1.1.3",
    "nvidia-cuda-cupti": "13.0.85",
    "nvidia-cuda-nvrtc": "13.0.88",
    "nvidia-cuda-runtime": "13.0.96",
    "nvidia-cufft": "12.0.0.61",
    "nvidia-cufile": "1.15.1.6",
    "nvidia-curand": "10.4.0.35",
    "nvidia-cusolver": "12.0.4.66",
    "nvidia-cusparse": "12.6.3.3",
    "nvidia-cusparselt-cu13": "0.8.1",
    "nvidia-nvjitlink": "13.0.88",
    "nvidia-nvshmem-cu13": "3.4.5",
    "nvidia-nvtx": "13.0.85",
    "cuda-toolkit": "13.0.3.0",
}

KNOWN: Mapping[str, HostTorch] = {
    "2.11": HostTorch(
        "2.11.0",
        "0.25.0",
        {
            **_CUDA_13,
            "cuda-toolkit": "13.0.2",
            "nvidia-cublas": "13.1.0.3",
            "nvidia-cudnn-cu13": "9.19.0.56",
            "nvidia-cusparselt-cu13": "0.8.0",
            "nvidia-nccl-cu13": "2.28.9",
            "triton": "3.6.0",
        },
    ),
    "2.13": HostTorch(
        "2.13.0",
        "0.32.0",
        {
            **_CUDA_13,
            "nvidia-cudnn-cu13": "9.20.0.48",
            "nvidia-nccl-cu13": "2.29.7",
            "triton": "3.7.1",
        },
    ),
    "2.14": HostTorch(
        "2.14.0",
        "0.33.0",
        {
            **_CUDA_13,
            "nvidia-cudnn-cu13": "9.24.0.43",
            "nvidia-nccl-cu13": "2.30.7",
            "triton": "3.8.0",
        },
    ),
}
"""From the metadata of the wheels: `Requires-Dist: torch==…` of vLLM 0.25.0 to 0.33.0 (0.25 and
0.26 need 2.11.0, 0.27 to 0.32 need 2.13.0, 0.33 needs 2.14.0; chosen is what we run), and what pip
resolves for torch alone on Linux x86-64."""


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


def write_stand_ins(folder: Path, torch: HostTorch) -> list[Path]:
    """The stand-in wheels: metadata alone."""
    return [_stand_in(folder, name, version) for name, version in torch.stand_ins.items()]


def _stand_in(folder: Path, name: str, version: str) -> Path:
    stem = f"{name.replace('-', '_')}-{version}"
    path = folder / f"{stem}-py3-none-any.whl"
    info = f"{stem}.dist-info"
    files = {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{each},,\n" for each in [*files, f"{info}/RECORD"])
    with zipfile.ZipFile(path, "w") as wheel:
        for each, text in {**files, f"{info}/RECORD": record}.items():
            wheel.writestr(each, text)
    return path
