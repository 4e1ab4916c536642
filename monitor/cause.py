"""PURE: the cause of an end, from the worker's own log.

The earliest known sign in the log is the cause; what comes after it are its consequences, and the
last exception is often only the last victim.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sign:
    """One known line.

    Attributes:
        word: names the cause in metrics, journal and alert.
        means: what it means and what helps, for people.
    """

    word: str
    pattern: re.Pattern[str]
    means: str


def _sign(word: str, pattern: str, means: str) -> Sign:
    return Sign(word, re.compile(pattern, re.IGNORECASE), means)


SIGNS = (
    _sign(
        "gpu_memory_held",
        r"free memory on device .* is less than desired",
        "another process holds the card's memory; find it, or lower gpu_memory_utilization",
    ),
    _sign(
        "gpu_out_of_memory",
        r"CUDA out of memory|OutOfMemoryError|HIP out of memory",
        "the card's memory is too small for this model and batch; lower max_num_batched_tokens",
    ),
    _sign(
        "no_kernel_image",
        r"no kernel image is available for execution",
        "this build does not support the card; install one for its compute capability",
    ),
    _sign(
        "driver_too_old",
        r"driver version is insufficient|driver on your system is too old",
        "the NVIDIA driver is older than this CUDA needs; update the driver",
    ),
    _sign(
        "cuda_error",
        r"CUDA error: (?!out of memory)|CUDA_ERROR_|cudaError",
        "the card or its driver failed; look for XIDs of that moment",
    ),
    _sign(
        "nccl_error",
        r"NCCL (?:error|WARN .*failure)|ncclInternalError|ncclSystemError|ncclUnhandledCudaError",
        "cards cannot talk to each other; look at NVLink, and at NCCL_DEBUG=INFO",
    ),
    _sign(
        "no_such_model",
        r"is not a (?:local folder|valid model identifier)|Repository Not Found|no config\.json"
        r"|OSError: .*does not appear to have a file named",
        "the model's files are not there; check [engine] model, or fetch it first",
    ),
    _sign(
        "hub_unreachable",
        r"couldn't connect to 'https?://|Connection error, and we cannot find|LocalEntryNotFound",
        "the model hub cannot be reached and the files are not in the cache",
    ),
    _sign(
        "bad_arguments",
        r"unrecognized arguments|got an unexpected keyword argument|validation errors? for",
        "the engine refuses its arguments; check [engine.vllm] against its version",
    ),
    _sign(
        "disk_full",
        r"No space left on device",
        "a disk is full: the state directory, the model cache or /tmp",
    ),
    _sign(
        "too_many_files", r"Too many open files", "the limit of open files is too low for this load"
    ),
    _sign(
        "host_out_of_memory",
        r"Cannot allocate memory|std::bad_alloc|MemoryError",
        "the host's memory is too small, or something leaks",
    ),
    _sign(
        "segmentation_fault",
        r"Segmentation fault|SIGSEGV|Fatal Python error",
        "a native library crashed; the log holds its stack",
    ),
    _sign(
        "engine_core_died",
        r"EngineDeadError|EngineCore (?:encountered|died|failed)",
        "the engine's core process ended; what stands before this line says why",
    ),
)
# lines that look alarming and mean nothing
_NOISE = re.compile(r"No available shared memory broadcast block", re.IGNORECASE)


def find_cause(log: str) -> Sign | None:
    """The sign on the earliest line that has one; None when no line is known."""
    for line in log.splitlines():
        if _NOISE.search(line):
            continue
        for sign in SIGNS:
            if sign.pattern.search(line):
                return sign
    return None
