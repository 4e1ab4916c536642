"""What we use of vLLM, as a table, and whether the installed version has it.

vLLM promises no stable interface. A name that moved should end the start with one line that says
so, and not the first request with an AttributeError.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Use:
    """One thing that we use.

    Attributes:
        module: where it is imported from.
        path: the name there; with dots, what it must have.
        parameters: those that we pass by name, or that we are called with.
    """

    module: str
    path: str
    parameters: tuple[str, ...] = ()


USES: tuple[Use, ...] = (
    Use("vllm", "__version__"),
    Use("vllm", "AsyncEngineArgs", ("model", "runner", "max_model_len", "hf_overrides")),
    Use("vllm.platforms", "current_platform.is_cpu"),
    Use("vllm.usage.usage_lib", "UsageContext.OPENAI_API_SERVER"),
    Use(
        "vllm.v1.engine.async_llm",
        "AsyncLLM.from_engine_args",
        ("engine_args", "usage_context", "stat_loggers"),
    ),
    Use("vllm.v1.engine.async_llm", "AsyncLLM.add_request", ("request_id", "prompt", "params")),
    Use("vllm.v1.engine.async_llm", "AsyncLLM.abort", ("request_id", "internal")),
    Use("vllm.v1.engine.async_llm", "AsyncLLM.shutdown", ("timeout",)),
    Use("vllm.v1.engine.async_llm", "AsyncLLM.errored"),
    Use("vllm.v1.engine.output_processor", "RequestOutputCollector.get"),
    Use("vllm.v1.engine.exceptions", "EngineDeadError"),
    Use("vllm.pooling_params", "PoolingParams", ("task", "use_activation", "extra_kwargs")),
    Use("vllm.pooling_params", "PoolingParams.clone"),
    Use("vllm.v1.metrics.loggers", "StatLoggerBase", ("vllm_config", "engine_index")),
    Use("vllm.v1.metrics.loggers", "StatLoggerBase.record", ("scheduler_stats",)),
    Use("vllm.v1.metrics.loggers", "StatLoggerBase.log_engine_initialized"),
    Use("vllm.entrypoints.pooling.scoring.utils", "compress_token_type_ids", ("token_type_ids",)),
)
"""All of it; `vllm_core.py` is the only user."""

SUPPORTED = "0.25 to 0.33"


def missing(
    uses: Sequence[Use] = USES, load: Callable[[str], object] = importlib.import_module
) -> str:
    """The first thing that is not as we use it, in words; empty when all is there."""
    for use in uses:
        name = f"{use.module}.{use.path}"
        try:
            found = load(use.module)
            for part in use.path.split("."):
                found = getattr(found, part)
        except (ImportError, AttributeError):
            return f"{name} is not there"
        wanted = _lacks(found, use.parameters)
        if wanted:
            return f"{name} takes no {wanted}"
    return ""


def unsupported(version: str, found: str) -> str:
    """The line for an operator."""
    return f"vLLM {version} is not supported: {found}; install one of {SUPPORTED}"


def _lacks(found: object, parameters: Sequence[str]) -> str:
    """The first parameter that a callable does not take; a class is asked for its constructor's."""
    if not parameters:
        return ""
    assert callable(found)
    taken = inspect.signature(found).parameters
    if any(one.kind is inspect.Parameter.VAR_KEYWORD for one in taken.values()):
        return ""
    return next((name for name in parameters if name not in taken), "")
