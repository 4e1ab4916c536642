"""Registers for events of every card and listens: `python -m deploy.gpu.event_child SECONDS`.

Prints `listening` and then one JSON list with a row for each card.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import pynvml as nvml

_KINDS = {
    "xid": nvml.nvmlEventTypeXidCriticalError,
    "unavailable": nvml.nvmlEventTypeGpuUnavailableError,
    "recovery": nvml.nvmlEventTypeGpuRecoveryAction,
    "single_bit_ecc": nvml.nvmlEventTypeSingleBitEccError,
    "double_bit_ecc": nvml.nvmlEventTypeDoubleBitEccError,
}
LISTENING = "listening"
_SLICE_MS = 100
_WANTED = ("xid", "unavailable", "recovery")  # as the watchdog's reader


def listen(seconds: float) -> list[dict[str, Any]]:
    """Open, register, say so, and wait; raises NVMLError when NVML itself does not work."""
    nvml.nvmlInit()
    events = nvml.nvmlEventSetCreate()
    rows = [_register(index, events) for index in range(nvml.nvmlDeviceGetCount())]
    print(LISTENING, flush=True)
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            data = nvml.nvmlEventSetWait_v2(events, _SLICE_MS)
        except nvml.NVMLError_Timeout:
            time.sleep(0.01)  # a driver that does not wait must not make this spin
            continue
        if rows:
            rows[0]["events"] += 1
            rows[0]["error"] = f"event {data.eventType}, data {data.eventData}"
    nvml.nvmlEventSetFree(events)
    return rows


def _register(index: int, events: Any) -> dict[str, Any]:
    row: dict[str, Any] = {"index": index, "registered": False, "events": 0, "error": ""}
    try:
        handle = nvml.nvmlDeviceGetHandleByIndex(index)
        supported = nvml.nvmlDeviceGetSupportedEventTypes(handle)
        row["supported"] = ", ".join(name for name, bit in _KINDS.items() if bit & supported)
        wanted = sum(_KINDS[name] for name in _WANTED) & supported
        nvml.nvmlDeviceRegisterEvents(handle, wanted, events)
        row["registered"] = True
    except nvml.NVMLError as error:
        row["error"] = str(error)
    return row


if __name__ == "__main__":
    print(json.dumps(listen(float(sys.argv[1]))))
