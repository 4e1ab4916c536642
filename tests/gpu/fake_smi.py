"""A stand-in for `nvidia-smi` that asks the fake NVML library itself and prints like the real one.

It shares no code with our collector. A line `smi KEY VALUE` in the driver's script makes it print
that value for that key, on every card: a wrong witness, to see that the comparison notices.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pynvml as nvml

CLOCKS = {"sm": nvml.NVML_CLOCK_SM, "memory": nvml.NVML_CLOCK_MEM}
MISSING = "[N/A]"


def lies():
    lines = Path(os.environ["FAKE_NVML"]).read_text().splitlines()
    words = [line.split(maxsplit=2) for line in lines if line.startswith("smi ")]
    return {key: value for _, key, value in words}


def memory(handle):
    return nvml.nvmlDeviceGetMemoryInfo(handle, version=nvml.nvmlMemory_v2)


def mib(size):
    return f"{round(size / 2**20)}"


def ecc(error, counter):
    return lambda handle: str(nvml.nvmlDeviceGetTotalEccErrors(handle, error, counter))


def yes(value):
    return "Yes" if value else "No"


QUERIES = {
    "uuid": nvml.nvmlDeviceGetUUID,
    "memory.total": lambda h: mib(memory(h).total),
    "memory.used": lambda h: mib(memory(h).used),
    "memory.reserved": lambda h: mib(memory(h).reserved),
    "utilization.gpu": lambda h: str(nvml.nvmlDeviceGetUtilizationRates(h).gpu),
    "utilization.memory": lambda h: str(nvml.nvmlDeviceGetUtilizationRates(h).memory),
    "temperature.gpu": lambda h: str(nvml.nvmlDeviceGetTemperatureV(h, 0)),
    "power.draw": lambda h: f"{nvml.nvmlDeviceGetPowerUsage(h) / 1000:.2f}",
    "enforced.power.limit": lambda h: f"{nvml.nvmlDeviceGetEnforcedPowerLimit(h) / 1000:.2f}",
    "clocks.current.sm": lambda h: str(nvml.nvmlDeviceGetClockInfo(h, CLOCKS["sm"])),
    "clocks.current.memory": lambda h: str(nvml.nvmlDeviceGetClockInfo(h, CLOCKS["memory"])),
    "clocks_event_reasons.active": lambda h: (
        f"0x{nvml.nvmlDeviceGetCurrentClocksEventReasons(h):016x}"
    ),
    "ecc.errors.corrected.volatile.total": ecc(0, 0),
    "ecc.errors.uncorrected.volatile.total": ecc(1, 0),
    "ecc.errors.corrected.aggregate.total": ecc(0, 1),
    "ecc.errors.uncorrected.aggregate.total": ecc(1, 1),
    "retired_pages.pending": lambda h: yes(nvml.nvmlDeviceGetRetiredPagesPendingStatus(h)),
    "pcie.link.gen.current": lambda h: str(nvml.nvmlDeviceGetCurrPcieLinkGeneration(h)),
    "pcie.link.width.current": lambda h: str(nvml.nvmlDeviceGetCurrPcieLinkWidth(h)),
    "mig.mode.current": lambda h: "Enabled" if nvml.nvmlDeviceGetMigMode(h)[0] else "Disabled",
}
"""What the real one of driver 580 knows of what we ask; `clocks_throttle_reasons` is gone."""


def answered(read, handle):
    try:
        return read(handle)
    except nvml.NVMLError:
        return MISSING


def query(keys, handles):
    for key in keys:
        if key not in QUERIES:
            print(f'Field "{key}" is not a valid field to query.\n')
            return 2
    told = lies()
    for handle in handles:
        row = [answered(QUERIES[key], handle) for key in keys]
        print(", ".join(told.get(key, value) for key, value in zip(keys, row, strict=True)))
    return 0


def field_value(handle, field):
    value = nvml.nvmlDeviceGetFieldValues(handle, [field])[0]
    if value.nvmlReturn:
        raise nvml.NVMLError(value.nvmlReturn)
    return value.value.uiVal


def details(handle):
    """Paths that only the XML has, with the words of the real one."""
    recovery = ["None", "Reset", "Reboot", "Drain P2P", "Drain and Reset"]
    return {
        "/temperature/gpu_temp_slow_threshold": lambda h: (
            f"{nvml.nvmlDeviceGetTemperatureThreshold(h, 1)} C"
        ),
        "/remapped_rows/remapped_row_corr": lambda h: str(nvml.nvmlDeviceGetRemappedRows(h)[0]),
        "/remapped_rows/remapped_row_unc": lambda h: str(nvml.nvmlDeviceGetRemappedRows(h)[1]),
        "/remapped_rows/remapped_row_pending": lambda h: yes(nvml.nvmlDeviceGetRemappedRows(h)[2]),
        "/remapped_rows/remapped_row_failure": lambda h: yes(nvml.nvmlDeviceGetRemappedRows(h)[3]),
        "/pci/replay_counter": lambda h: str(nvml.nvmlDeviceGetPcieReplayCounter(h)),
        "/gpu_recovery_action": lambda h: recovery[
            field_value(h, nvml.NVML_FI_DEV_GET_GPU_RECOVERY_ACTION)
        ],
        "/mig_mode/current_mig": lambda h: (
            "Enabled" if nvml.nvmlDeviceGetMigMode(h)[0] else "Disabled"
        ),
    }


def nested(path, text):
    parts = path.strip("/").split("/")
    return (
        "".join(f"<{part}>" for part in parts)
        + text
        + "".join(f"</{part}>" for part in reversed(parts))
    )


def xml(handles):
    told = lies()
    print('<?xml version="1.0" ?>\n<!DOCTYPE nvidia_smi_log SYSTEM "nvsmi_device_v12.dtd">')
    print("<nvidia_smi_log>")
    print(f"<driver_version>{nvml.nvmlSystemGetDriverVersion()}</driver_version>")
    for handle in handles:
        print(f'<gpu id="{nvml.nvmlDeviceGetPciInfo(handle).busId}">')
        print("<serial>1650000000001</serial>")
        print(nested("/uuid", nvml.nvmlDeviceGetUUID(handle)))
        for path, read in details(handle).items():
            text = told.get(path, answered(read, handle).replace(MISSING, "N/A"))
            print(nested(path, text))
        print("<processes>")
        for process in nvml.nvmlDeviceGetComputeRunningProcesses(handle):
            print(f"<process_info><pid>{process.pid}</pid><type>C</type>")
            print(f"<used_memory>{mib(process.usedGpuMemory)} MiB</used_memory></process_info>")
        print("</processes>\n</gpu>")
    print("</nvidia_smi_log>")
    return 0


def nvlink(flag, handles):
    for index, handle in enumerate(handles):
        print(f"GPU {index}: Fake H100 (UUID: {nvml.nvmlDeviceGetUUID(handle)})")
        for link in range(nvml.NVML_NVLINK_MAX_LINKS):
            try:
                state = nvml.nvmlDeviceGetNvLinkState(handle, link)
                errors = nvml.nvmlDeviceGetNvLinkErrorCounter(handle, link, 1)
            except nvml.NVMLError:
                break
            if flag == "-s":
                print(f"\t Link {link}: " + ("26.562 GB/s" if state else "<inactive>"))
            else:
                print(f"\t Link {link}: Replay Errors: 0")
                print(f"\t Link {link}: Recovery Errors: {errors}")
                print(f"\t Link {link}: CRC Errors: 0")
    return 0


def main():
    nvml.nvmlInit()
    handles = [nvml.nvmlDeviceGetHandleByIndex(i) for i in range(nvml.nvmlDeviceGetCount())]
    first = sys.argv[1]
    if first.startswith("--query-gpu="):
        return query(first.partition("=")[2].split(","), handles)
    if first == "nvlink":
        return nvlink(sys.argv[2], handles)
    return xml(handles)


if __name__ == "__main__":
    sys.exit(main())
