"""With what each side is started: commands and configuration. PURE.

The limits that decide how much fits (context, cache memory, deadlines) are equal on all sides and
wide enough for the largest load; what decides the speed is each side's own, or made the same.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

OURS, BARE, BARE_SAME = "ours", "bare", "bare_same"

CPU_BLOCK = 32
"""What our worker sets on CPU (`service/worker/engines/vllm_arguments.py`); vLLM's own is 128."""

REQUEST_S = 300.0
"""Deadline of a request: 16 clients with 1,000 documents each wait for a minute on two cores.
Bare vLLM has none; our default of 30 s would end the largest load, and measure nothing."""

_WAITING_TOKENS = 64_000_000  # likewise: bare vLLM admits everything

_OVERRIDES = {
    "architectures": ["Qwen3ForSequenceClassification"],
    "classifier_from_token": ["no", "yes"],
    "is_original_qwen3_reranker": True,
}

ENVIRONMENT: Mapping[str, str] = {
    "HF_HUB_OFFLINE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "PYTHONUNBUFFERED": "1",
}
"""On all sides: nothing but loopback is talked to."""


@dataclass(frozen=True, slots=True)
class Engine:
    """What all sides have in common.

    Attributes:
        model: folder of a Qwen3-Reranker with its original weights.
        on_cpu: without a card; decides the block size that our worker takes.
    """

    model: str
    on_cpu: bool
    max_model_len: int = 2048
    cache_bytes: int = 1 << 30


def bare_command(
    python: str, engine: Engine, *, port: int, template: Path, same_settings: bool
) -> list[str]:
    """The command of a bare vLLM server, as its documentation starts this model.

    Args:
        same_settings: with the engine settings that our worker takes, instead of vLLM's own.
    """
    command = [
        python, "-m", "vllm.entrypoints.openai.api_server",
        "--host", "127.0.0.1",
        "--port", str(port),
        "--model", engine.model,
        "--served-model-name", "bench",
        "--runner", "pooling",
        "--hf-overrides", json.dumps(_OVERRIDES),
        "--chat-template", str(template),
        "--enable-prefix-caching",
        "--max-model-len", str(engine.max_model_len),
        "--kv-cache-memory-bytes", str(engine.cache_bytes),
    ]  # fmt: skip
    if same_settings:
        command.append("--disable-log-stats")
        if engine.on_cpu:
            command += ["--block-size", str(CPU_BLOCK)]
    return command


def our_commands(python: str, config: Path) -> dict[str, list[str]]:
    """The commands of a worker and of a gateway, by name."""
    base = [python, "-m", "deploy"]
    tail = ["--config", str(config)]
    return {"worker": [*base, "worker", *tail], "gateway": [*base, "serve", *tail]}


def our_config(engine: Engine | None, *, port: int, state_dir: Path) -> str:
    """The text of `rankguard.toml`; without an engine, one that answers at once."""
    lines = [
        "[service]",
        f"port = {port}",
        f"state_dir = {json.dumps(str(state_dir))}",
        f"request_timeout_s = {REQUEST_S}",
        f"max_waiting_tokens = {_WAITING_TOKENS}",
        "[engine]",
    ]
    if engine is None:
        return "\n".join([*lines, 'kind = "scripted"', ""])
    lines += [
        'kind = "vllm"',
        f"model = {json.dumps(engine.model)}",
        'served_name = "bench"',
        f"max_model_len = {engine.max_model_len}",
        'self_check = "warn"',  # random weights know nothing of Paris
        "[engine.vllm]",
        f"kv_cache_memory_bytes = {engine.cache_bytes}",
    ]
    return "\n".join([*lines, ""])
