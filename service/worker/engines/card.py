"""Memory of the card that this process would use, read through NVML without touching CUDA."""

from __future__ import annotations

import os
from collections.abc import Mapping

from service.worker.engines.vllm_arguments import Machine


def card_memory(environment: Mapping[str, str] = os.environ) -> Machine:
    """Free and total bytes of the first visible card; unknown when NVML does not say.

    Args:
        environment: `CUDA_VISIBLE_DEVICES` names the card by index or UUID; the first one counts.
    """
    import pynvml  # noqa: PLC0415 - only where there is a card

    chosen = environment.get("CUDA_VISIBLE_DEVICES", "").split(",")[0].strip() or "0"
    try:
        pynvml.nvmlInit()
        try:
            handle = (
                pynvml.nvmlDeviceGetHandleByIndex(int(chosen))
                if chosen.isdigit()
                else pynvml.nvmlDeviceGetHandleByUUID(chosen)
            )
            memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
        finally:
            pynvml.nvmlShutdown()
    except pynvml.NVMLError:
        return Machine(is_cpu=False)
    return Machine(is_cpu=False, free_bytes=int(memory.free), total_bytes=int(memory.total))
