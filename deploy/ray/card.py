"""The card that Ray gave to this process, by its UUID, without asking the driver."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

PROC = Path("/proc/driver/nvidia/gpus")
_UUID = re.compile(r"^GPU UUID:\s*(GPU-\S+)", re.MULTILINE)


def card_of(environment: Mapping[str, str], root: Path = PROC) -> str | None:
    """The UUID of the first visible card; None without one, or when it cannot be known.

    Args:
        environment: `CUDA_VISIBLE_DEVICES` names cards by UUID or by NVML's index, which counts
            them by PCI address, as the folders of `root` are named.
    """
    chosen = environment.get("CUDA_VISIBLE_DEVICES", "").split(",")[0].strip()
    if chosen.startswith("GPU-"):
        return chosen
    if not chosen.isdigit():
        return None
    try:
        folders = sorted(root.iterdir())
        text = (folders[int(chosen)] / "information").read_text(encoding="ascii", errors="replace")
    except (OSError, IndexError):
        return None
    found = _UUID.search(text)
    return found.group(1) if found else None
