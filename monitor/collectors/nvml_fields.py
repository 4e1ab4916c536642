"""How each reading of a card is asked of NVML, and what its return codes mean."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pynvml as nvml

_WHY = {
    # NVML return codes, nvml.h
    3: "not_supported",
    4: "no_permission",
    9: "driver_gone",
    10: "timed_out",
    12: "no_library",
    13: "not_supported",
    15: "gpu_lost",
    16: "needs_reset",
    18: "driver_gone",
    25: "not_supported",
    26: "not_supported",
    28: "gpu_lost",
}
FATAL = {"gpu_lost", "needs_reset", "driver_gone"}
Getter = Callable[[Any], dict[str, float]]


class Fatal(Exception):
    """The card as a whole cannot be read; carries the word why."""


def why(error: nvml.NVMLError) -> str:
    return f"{_WHY.get(error.value, 'failed')}: {error}"


def _memory(handle: Any) -> dict[str, float]:
    info = nvml.nvmlDeviceGetMemoryInfo(handle, version=nvml.nvmlMemory_v2)
    return {
        "memory_total_bytes": info.total,
        "memory_used_bytes": info.used,
        "memory_reserved_bytes": info.reserved,
    }


def _utilization(handle: Any) -> dict[str, float]:
    rates = nvml.nvmlDeviceGetUtilizationRates(handle)
    return {"utilization_ratio": rates.gpu / 100, "memory_utilization_ratio": rates.memory / 100}


def _temperature(handle: Any) -> dict[str, float]:
    try:
        celsius = nvml.nvmlDeviceGetTemperatureV(handle, nvml.NVML_TEMPERATURE_GPU)
    except nvml.NVMLError_FunctionNotFound:  # drivers before 13
        celsius = nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU)
    return {"temperature_celsius": celsius}


def _remapped(handle: Any) -> dict[str, float]:
    corrected, uncorrected, pending, failed = nvml.nvmlDeviceGetRemappedRows(handle)
    return {
        "remapped_rows_corrected": corrected,
        "remapped_rows_uncorrected": uncorrected,
        "row_remap_pending": pending,
        "row_remap_failed": failed,
    }


def _recovery(handle: Any) -> dict[str, float]:
    value = nvml.nvmlDeviceGetFieldValues(handle, [nvml.NVML_FI_DEV_GET_GPU_RECOVERY_ACTION])[0]
    if value.nvmlReturn != nvml.NVML_SUCCESS:
        raise nvml.NVMLError(value.nvmlReturn)
    return {"recovery_action": value.value.uiVal}


def _nvlinks(handle: Any) -> dict[str, float]:
    down, errors = 0, 0
    for link in range(nvml.NVML_NVLINK_MAX_LINKS):
        try:
            down += not nvml.nvmlDeviceGetNvLinkState(handle, link)
            errors += nvml.nvmlDeviceGetNvLinkErrorCounter(
                handle, link, nvml.NVML_NVLINK_ERROR_DL_RECOVERY
            )
        except nvml.NVMLError:
            if link == 0:
                raise
            break  # links are numbered from 0 without gaps
    return {"nvlinks_down": down, "nvlink_errors": errors}


def _one(name: str, read: Callable[[Any], float], scale: float = 1.0) -> Getter:
    return lambda handle: {name: read(handle) * scale}


def _ecc(name: str, error: int, counter: int) -> Getter:
    return _one(name, lambda handle: nvml.nvmlDeviceGetTotalEccErrors(handle, error, counter))


GETTERS: tuple[tuple[tuple[str, ...], Getter], ...] = (
    (("memory_total_bytes", "memory_used_bytes", "memory_reserved_bytes"), _memory),
    (("utilization_ratio", "memory_utilization_ratio"), _utilization),
    (("temperature_celsius",), _temperature),
    (
        ("temperature_slowdown_celsius",),
        _one(
            "temperature_slowdown_celsius",
            lambda handle: nvml.nvmlDeviceGetTemperatureThreshold(
                handle, nvml.NVML_TEMPERATURE_THRESHOLD_SLOWDOWN
            ),
        ),
    ),
    # NVML speaks of milliwatts, millijoules and megahertz
    (("power_watts",), _one("power_watts", nvml.nvmlDeviceGetPowerUsage, 1e-3)),
    (("power_limit_watts",), _one("power_limit_watts", nvml.nvmlDeviceGetEnforcedPowerLimit, 1e-3)),
    (("energy_joules",), _one("energy_joules", nvml.nvmlDeviceGetTotalEnergyConsumption, 1e-3)),
    (
        ("sm_clock_hertz",),
        _one("sm_clock_hertz", lambda h: nvml.nvmlDeviceGetClockInfo(h, nvml.NVML_CLOCK_SM), 1e6),
    ),
    (
        ("memory_clock_hertz",),
        _one(
            "memory_clock_hertz",
            lambda h: nvml.nvmlDeviceGetClockInfo(h, nvml.NVML_CLOCK_MEM),
            1e6,
        ),
    ),
    (
        ("clock_event_reasons",),
        _one("clock_event_reasons", nvml.nvmlDeviceGetCurrentClocksEventReasons),
    ),
    (("ecc_corrected_volatile",), _ecc("ecc_corrected_volatile", 0, 0)),
    (("ecc_uncorrected_volatile",), _ecc("ecc_uncorrected_volatile", 1, 0)),
    (("ecc_corrected_aggregate",), _ecc("ecc_corrected_aggregate", 0, 1)),
    (("ecc_uncorrected_aggregate",), _ecc("ecc_uncorrected_aggregate", 1, 1)),
    (
        (
            "remapped_rows_corrected",
            "remapped_rows_uncorrected",
            "row_remap_pending",
            "row_remap_failed",
        ),
        _remapped,
    ),
    (
        ("retired_pages_pending",),
        _one("retired_pages_pending", nvml.nvmlDeviceGetRetiredPagesPendingStatus),
    ),
    (("pcie_replays",), _one("pcie_replays", nvml.nvmlDeviceGetPcieReplayCounter)),
    (
        ("pcie_link_generation",),
        _one("pcie_link_generation", nvml.nvmlDeviceGetCurrPcieLinkGeneration),
    ),
    (("pcie_link_width",), _one("pcie_link_width", nvml.nvmlDeviceGetCurrPcieLinkWidth)),
    (("nvlinks_down", "nvlink_errors"), _nvlinks),
    (("recovery_action",), _recovery),
    (("mig_enabled",), _one("mig_enabled", lambda h: nvml.nvmlDeviceGetMigMode(h)[0])),
)
