"""Driver, cards, memory on them and who holds it."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import psutil

from deploy.config import Config
from deploy.doctor.finding import Finding, fail, ok, warn
from service.worker.select import has_usable_gpu

NVML_LIMIT_S = 10.0
_GIB = 2**30
_DEFAULT_UTILIZATION = 0.9
"""vLLM's own default of gpu_memory_utilization."""

_LIBRARY_NOT_FOUND = 12
_FIX_BY_CODE: Mapping[int, str] = {
    4: "run as a user that may open /dev/nvidiactl",
    9: "load the driver: modprobe nvidia; then nvidia-modprobe -u -c=0",
    _LIBRARY_NOT_FOUND: "install the NVIDIA driver; in a container: --gpus all",
    15: "a card fell off the bus: reboot the host, then look for XID 79 in dmesg",
    18: "the driver was upgraded under running processes: reload it, or reboot",
}


@dataclass(frozen=True, slots=True)
class Holder:
    """A process that holds memory of a card."""

    pid: int
    used_bytes: int


@dataclass(frozen=True, slots=True)
class Gpu:
    """One card; bytes. With a `fault` nothing else is known of it but the index."""

    index: int
    uuid: str
    name: str
    total: int
    free: int
    holders: tuple[Holder, ...] = ()
    persistence: bool | None = None
    fault: str = ""
    fault_code: int = 0


@dataclass(frozen=True, slots=True)
class Driver:
    """What NVML says. `cuda` as NVML counts: 12080 is 12.8; 0 where the driver does not say."""

    version: str
    cuda: int
    gpus: tuple[Gpu, ...]


@dataclass(frozen=True, slots=True)
class NoDriver:
    """Why NVML says nothing; `code` is its return code, or None when it hangs."""

    why: str
    code: int | None


def read_driver(
    command: tuple[str, ...] = (sys.executable, "-m", "deploy.doctor.nvml_child"),
    limit_s: float = NVML_LIMIT_S,
) -> Driver | NoDriver:
    """Ask NVML in a child; a child that hangs in the kernel is left behind, not waited for."""
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        output, _ = child.communicate(timeout=limit_s)
    except subprocess.TimeoutExpired:
        child.kill()
        child.returncode = -9  # it may never be reaped: it ends when the driver lets it go
        return NoDriver(f"NVML did not answer within {limit_s:g} s", None)
    try:
        body = json.loads(output)
    except ValueError:
        return NoDriver(f"NVML ended the process (status {child.returncode})", None)
    if "error" in body:
        return NoDriver(str(body["error"]), int(body["code"]))
    return Driver(body["driver"], body["cuda"], tuple(_gpu(item) for item in body["gpus"]))


def _gpu(body: Mapping[str, Any]) -> Gpu:
    if "error" in body:
        return Gpu(body["index"], "", "", 0, 0, fault=str(body["error"]), fault_code=body["code"])
    return Gpu(
        body["index"],
        body["uuid"],
        body["name"],
        body["total"],
        body["free"],
        tuple(Holder(item["pid"], item["used"]) for item in body["processes"]),
        body["persistence"],
    )


def check_gpus(
    config: Config,
    driver: Driver | NoDriver,
    *,
    expected: int | None = None,
    ours: frozenset[int] = frozenset(),
) -> list[Finding]:
    """Driver, number of cards, memory.

    Args:
        expected: how many cards there must be; None: no opinion.
        ours: process groups of our replicas: what they hold is well held.
    """
    wanted = config.engine.kind == "vllm" or bool(expected)
    if isinstance(driver, NoDriver):
        return [_check_absence(driver, wanted=wanted)]
    cuda = f", CUDA {driver.cuda // 1000}.{driver.cuda % 1000 // 10}" if driver.cuda else ""
    findings = [ok("driver", f"{driver.version}{cuda}")]
    found = len(driver.gpus)
    if expected is not None and found != expected:
        findings.append(
            fail(
                "gpu count",
                f"{found} cards, {expected} are expected",
                "look for XID 79 and PCIe errors in dmesg; reseat or reboot",
            )
        )
    else:
        findings.append(ok("gpu count", f"{found}"))
    share = float(config.engine.vllm.get("gpu_memory_utilization", _DEFAULT_UTILIZATION))
    for gpu in driver.gpus:
        findings += _check_card(gpu, share, ours)
    return findings


def _check_absence(driver: NoDriver, *, wanted: bool) -> Finding:
    no_library = driver.code == _LIBRARY_NOT_FOUND and not has_usable_gpu()
    if no_library and not wanted:
        return ok("driver", "no NVIDIA driver here; the embedded engine needs none")
    fix = _FIX_BY_CODE.get(driver.code or 0, "look at dmesg; a driver that hangs needs a reboot")
    return (fail if wanted else warn)("driver", driver.why, fix)


def _check_card(gpu: Gpu, share: float, ours: frozenset[int]) -> list[Finding]:
    name = f"gpu {gpu.index}"
    if gpu.fault:
        fix = _FIX_BY_CODE.get(gpu.fault_code, "drain it and reset it: nvidia-smi --gpu-reset")
        return [fail(name, f"cannot be read: {gpu.fault}", fix)]
    strangers = [holder for holder in gpu.holders if holder.pid not in ours]
    needed = share * gpu.total
    mine = sum(holder.used_bytes for holder in gpu.holders if holder.pid in ours)
    findings = []
    if gpu.free + mine < needed:
        held = ", ".join(_named(holder) for holder in strangers) or "nobody that NVML names"
        findings.append(
            warn(
                name,
                f"{gpu.name}: {gpu.free / _GIB:.1f} of {gpu.total / _GIB:.1f} GiB free,"
                f" a replica wants {needed / _GIB:.1f}; held by {held}",
                "end what holds it, or lower [engine.vllm] gpu_memory_utilization",
            )
        )
    else:
        findings.append(
            ok(name, f"{gpu.name}, {gpu.free / _GIB:.1f} of {gpu.total / _GIB:.1f} GiB free")
        )
    if gpu.persistence is False:
        findings.append(
            warn(
                f"{name} persistence",
                "off: the driver unloads when nobody uses it, and starts take seconds longer",
                "systemctl enable --now nvidia-persistenced",
            )
        )
    return findings


def _named(holder: Holder) -> str:
    name = "gone"
    with contextlib.suppress(psutil.Error):
        name = psutil.Process(holder.pid).name()
    return f"{name} (pid {holder.pid}, {holder.used_bytes / _GIB:.1f} GiB)"
