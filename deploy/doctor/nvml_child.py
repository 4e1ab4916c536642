"""Asks NVML about driver and cards: `python -m deploy.doctor.nvml_child` prints one JSON object.

A process of its own, because any NVML call may block for ever in the kernel. It must not be waited
for without a limit, and a limit that passes is an answer.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any


def read() -> dict[str, Any]:
    """Driver and cards; `error` names the first call that failed."""
    import pynvml  # noqa: PLC0415 - the library is loaded in this process alone

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        return {"error": str(error), "code": getattr(error, "value", 999)}
    try:
        count = pynvml.nvmlDeviceGetCount()
        return {
            "driver": pynvml.nvmlSystemGetDriverVersion(),
            "cuda": _or_none(pynvml, pynvml.nvmlSystemGetCudaDriverVersion_v2) or 0,
            "gpus": [_card(pynvml, index) for index in range(count)],
        }
    except pynvml.NVMLError as error:
        return {"error": str(error), "code": getattr(error, "value", 999)}


def _card(nvml: Any, index: int) -> dict[str, Any]:
    """A card that fails is told as that: the others are there all the same."""
    try:
        return _gpu(nvml, index)
    except nvml.NVMLError as error:
        return {"index": index, "error": str(error), "code": getattr(error, "value", 999)}


def _gpu(nvml: Any, index: int) -> dict[str, Any]:
    handle = nvml.nvmlDeviceGetHandleByIndex(index)
    memory = nvml.nvmlDeviceGetMemoryInfo(handle, version=nvml.nvmlMemory_v2)
    return {
        "index": index,
        "uuid": nvml.nvmlDeviceGetUUID(handle),
        "name": nvml.nvmlDeviceGetName(handle),
        "total": memory.total,
        "used": memory.used,
        "free": memory.free,
        "persistence": _or_none(nvml, lambda: bool(nvml.nvmlDeviceGetPersistenceMode(handle))),
        "processes": _or_none(nvml, lambda: _processes(nvml, handle)) or [],
    }


def _processes(nvml: Any, handle: Any) -> list[dict[str, Any]]:
    return [
        {"pid": process.pid, "used": process.usedGpuMemory or 0}
        for process in nvml.nvmlDeviceGetComputeRunningProcesses(handle)
    ]


def _or_none(nvml: Any, call: Callable[[], Any]) -> Any:
    """What a card or driver does not support is not there; anything else is an error."""
    try:
        return call()
    except (nvml.NVMLError_NotSupported, nvml.NVMLError_FunctionNotFound):
        return None


if __name__ == "__main__":
    json.dump(read(), sys.stdout)
