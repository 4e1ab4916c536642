"""PURE: why vLLM did not start or died, in one line, from its log and its exception."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

_LONGEST = 300

# What vLLM puts before a line: process, level, time, source file.
_PREFIX = re.compile(
    r"^(?:\([A-Za-z_]+[^)]*pid=\d+\)\s*)?(?:(?P<level>DEBUG|INFO|WARNING|ERROR|CRITICAL)\s+"
    r"\d\d-\d\d\s+\d\d:\d\d:\d\d\s+(?:\[[^\]]*\]\s*)?)?"
)


@dataclass(frozen=True, slots=True)
class Signature:
    """One known way to fail.

    Attributes:
        pattern: found in a line of the log or of the exception.
        permanent: another try changes nothing.
        advice: what to do, in words.
    """

    pattern: re.Pattern[str]
    permanent: bool
    advice: str


def _known(pattern: str, advice: str, *, permanent: bool) -> Signature:
    return Signature(re.compile(pattern), permanent, advice)


# Texts of vLLM 0.25 to 0.33, PyTorch 2.13 and safetensors, read in their sources.
SIGNATURES = (
    _known(
        r"less than desired (GPU|CPU) memory utilization",
        "free the card, or lower [engine.vllm] gpu_memory_utilization",
        permanent=False,
    ),
    _known(
        r"No available memory for the cache blocks",
        "raise [engine.vllm] gpu_memory_utilization or take a smaller model",
        permanent=True,
    ),
    _known(
        r"To serve at least one request with the model'?s'? max(imum)? seq",
        "lower [engine] max_model_len or raise [engine.vllm] gpu_memory_utilization",
        permanent=True,
    ),
    _known(
        r"(CUDA|HIP) out of memory|torch\.(cuda\.)?OutOfMemoryError|Cannot allocate memory",
        "something else holds the memory, or the model is too large for it",
        permanent=False,
    ),
    _known(r"User-specified max_model_len", "lower [engine] max_model_len", permanent=True),
    _known(
        r"Model architectures? .*(not supported|failed to be inspected)",
        "this version of vLLM does not know the model",
        permanent=True,
    ),
    _known(
        r"Cannot find any model weights|does not appear to have a file named|"
        r"Can't load (the )?(configuration|tokenizer)|is not a valid model identifier",
        "the model folder is not complete",
        permanent=True,
    ),
    _known(
        r"SafetensorError|deserializing header|InvalidHeader|MetadataIncompleteBuffer",
        "a weights file is damaged; copy it again",
        permanent=True,
    ),
    _known(
        r"Following weights were not initialized|size of tensor|shape mismatch|"
        r"assert param_data\.shape|Attempted to load weight",
        "the weights do not belong to this config.json",
        permanent=True,
    ),
    _known(
        r"driver version is insufficient|no kernel image is available",
        "the driver and this build of PyTorch do not fit together",
        permanent=True,
    ),
    _known(
        r"CUDA error|NVML|no CUDA-capable device|CUDA initialization|Xid",
        "look at the card and the driver's log",
        permanent=False,
    ),
    _known(r"No space left on device", "free disk space", permanent=False),
    _known(r"Address already in use", "", permanent=False),
    _known(r"validation errors? for |unexpected keyword argument", "", permanent=True),
    _known(
        r"^(ValueError|AssertionError|TypeError|NotImplementedError|KeyError): ", "", permanent=True
    ),
)


@dataclass(frozen=True, slots=True)
class Cause:
    """Why, in one line, and whether another try may work."""

    line: str
    permanent: bool


def find_cause(lines: Iterable[str], fallback: str) -> Cause:
    """The earliest known signature in a log.

    Args:
        lines: of the engine's processes, oldest first, then of the exception.
        fallback: when no signature is known; such a failure is worth another try.
    """
    for raw in lines:
        if _is_routine(raw):
            continue
        line = plain(raw)
        for signature in SIGNATURES:
            if signature.pattern.search(line):
                said = line[:_LONGEST]
                advice = f" ({signature.advice})" if signature.advice else ""
                return Cause(said + advice, signature.permanent)
    return Cause(plain(fallback)[:_LONGEST], permanent=False)


def _is_routine(line: str) -> bool:
    """Warnings do no harm, and there are many; only errors and bare lines are causes."""
    found = _PREFIX.match(line.strip())
    return found is not None and found["level"] in {"DEBUG", "INFO", "WARNING"}


def plain(line: str) -> str:
    """A line without what the logger put before it, and without spaces around."""
    return _PREFIX.sub("", line.strip()).strip()
