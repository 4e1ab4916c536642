"""PURE: the arguments with which vLLM is started, from settings and what the machine has."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from service.worker.prompts.profile import Family, Profile

GIB = 1 << 30

_CARD_SHARE = 0.9  # vLLM's own default of a whole card
_CARD_MARGIN = GIB  # CUDA context and fragmentation, beside what vLLM counts
_CPU_CACHE = 4 * GIB
# vLLM's default on CPU is 128: prompts share whole blocks only, and a query prefix has 60 to 100
# tokens, so it would never be shared. A multiple of 32 is what its CPU kernels ask for.
_CPU_BLOCK = 32

_OWNED = {
    "model": "[engine] model",
    "max_model_len": "[engine] max_model_len",
    "served_model_name": "[engine] served_name",
}


class BadArgument(ValueError):
    """A name in `[engine.vllm]` that the installed vLLM does not have, or that is set elsewhere."""


@dataclass(frozen=True, slots=True)
class Machine:
    """What there is to run on.

    Attributes:
        is_cpu: no accelerator.
        free_bytes: free memory of the card, or of the host when `is_cpu`; None when unknown.
        total_bytes: likewise.
    """

    is_cpu: bool
    free_bytes: int | None = None
    total_bytes: int | None = None


def context(wanted: int, profile: Profile) -> tuple[int, int]:
    """The longest input, and the `max_model_len` that vLLM needs for it.

    A causal model gets one position more than it is asked for. Up to 0.28 at least, vLLM keeps the
    last position for a token that a pooling model never makes: an input that fills the context and
    is read in pieces is never finished, and vLLM goes round in circles while its steps count up.

    Args:
        wanted: `[engine] max_model_len`.
        profile: with the positions that the model has.
    """
    positions = profile.max_tokens
    if not profile.is_decoder:
        longest = min(wanted, positions or wanted)
        return longest, longest
    if positions is None or wanted < positions:
        return wanted, wanted + 1
    return positions - 1, positions


def check_names(given: Collection[str], known: Collection[str]) -> None:
    """Refuse names that vLLM would not take.

    Args:
        given: names in `[engine.vllm]`.
        known: fields of `AsyncEngineArgs` of the installed version.

    Raises:
        BadArgument: names the first wrong one and the nearest right one.
    """
    for name in given:
        if name in _OWNED:
            raise BadArgument(f"[engine.vllm] {name}: set {_OWNED[name]} instead")
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise BadArgument(f"[engine.vllm] {name}: vLLM has no such argument{hint}")


def engine_arguments(
    *,
    model: str,
    name: str,
    max_model_len: int,
    profile: Profile,
    machine: Machine,
    given: Mapping[str, Any],
    known: Collection[str],
) -> dict[str, Any]:
    """Keyword arguments of `AsyncEngineArgs`; what the operator gave wins.

    Args:
        model: the folder.
        name: what clients call it.
        max_model_len: see `context`.
        profile: how the model is used.
        machine: what it runs on.
        given: `[engine.vllm]`.
        known: fields of `AsyncEngineArgs` of the installed version.

    Raises:
        BadArgument: a name in `given` is wrong.
    """
    check_names(given, known)
    arguments: dict[str, Any] = {
        "model": model,
        "served_model_name": name,
        "max_model_len": max_model_len,
        "runner": "pooling",
        "disable_log_stats": True,  # its own loggers; our progress counter is attached all the same
    }
    if profile.family is Family.QWEN3_RERANKER:
        arguments["enable_prefix_caching"] = True
    if profile.family is Family.EMBEDDING:
        arguments["convert"] = "embed"
    if profile.original_qwen3:
        arguments["hf_overrides"] = {
            "architectures": ["Qwen3ForSequenceClassification"],
            "classifier_from_token": ["no", "yes"],
            "is_original_qwen3_reranker": True,
        }
    arguments |= _memory(machine, given)
    overrides = given.get("hf_overrides")
    if isinstance(overrides, Mapping) and "hf_overrides" in arguments:
        given = {**given, "hf_overrides": {**arguments["hf_overrides"], **overrides}}
    return {key: value for key, value in (arguments | dict(given)).items() if key in known}


def _memory(machine: Machine, given: Mapping[str, Any]) -> dict[str, Any]:
    if "gpu_memory_utilization" in given or "kv_cache_memory_bytes" in given:
        return {"block_size": _CPU_BLOCK} if machine.is_cpu else {}
    if machine.is_cpu:
        cache = _CPU_CACHE
        if machine.free_bytes is not None:
            cache = min(cache, machine.free_bytes // 4)
        return {"block_size": _CPU_BLOCK, "kv_cache_memory_bytes": cache}
    return {"gpu_memory_utilization": card_share(machine)}


def card_share(machine: Machine) -> float:
    """The part of the card that vLLM may take: its default, or what others leave.

    Raises:
        BadArgument: never; a full card gives a share so small that vLLM says what it lacks.
    """
    if machine.free_bytes is None or not machine.total_bytes:
        return _CARD_SHARE
    free = (machine.free_bytes - _CARD_MARGIN) / machine.total_bytes
    return min(_CARD_SHARE, max(0.01, int(free * 100) / 100))
