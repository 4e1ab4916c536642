from __future__ import annotations

import pytest

from service.worker.engines.vllm_arguments import (
    GIB,
    BadArgument,
    Machine,
    card_share,
    context,
    engine_arguments,
)
from service.worker.prompts.profile import Family, Profile

KNOWN = {
    "model",
    "served_model_name",
    "max_model_len",
    "runner",
    "convert",
    "disable_log_stats",
    "enable_prefix_caching",
    "hf_overrides",
    "gpu_memory_utilization",
    "kv_cache_memory_bytes",
    "block_size",
    "enforce_eager",
    "tensor_parallel_size",
}
CARD = Machine(is_cpu=False, free_bytes=80 * GIB, total_bytes=80 * GIB)
HOST = Machine(is_cpu=True, free_bytes=64 * GIB, total_bytes=64 * GIB)
RERANKER = Profile(Family.QWEN3_RERANKER)


def made(profile=RERANKER, machine=CARD, **given):
    return engine_arguments(
        model="/m", name="n", max_model_len=512, profile=profile, machine=machine, given=given,
        known=KNOWN,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("given", "words"),
    [
        pytest.param({"enforce_egaer": True}, "enforce_eager?", id="misspelt"),
        pytest.param({"colour": 1}, "no such argument", id="unknown"),
        pytest.param({"model": "x"}, "[engine] model", id="set elsewhere"),
        pytest.param({"max_model_len": 9}, "[engine] max_model_len", id="set elsewhere too"),
    ],
)
def test_a_wrong_name_is_refused_with_the_right_one(given, words):
    with pytest.raises(BadArgument) as refused:
        made(**given)

    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("profile", "present", "absent"),
    [
        pytest.param(
            RERANKER,
            {"enable_prefix_caching": True, "runner": "pooling", "max_model_len": 512},
            {"hf_overrides", "convert"},
            id="converted reranker",
        ),
        pytest.param(
            Profile(Family.QWEN3_RERANKER, original_qwen3=True),
            {
                "hf_overrides": {
                    "architectures": ["Qwen3ForSequenceClassification"],
                    "classifier_from_token": ["no", "yes"],
                    "is_original_qwen3_reranker": True,
                }
            },
            {"convert"},
            id="original reranker: the head is made of two rows, no before yes",
        ),
        pytest.param(
            Profile(Family.EMBEDDING), {"convert": "embed"}, {"hf_overrides"}, id="embedding"
        ),
        pytest.param(
            Profile(Family.CROSS_ENCODER),
            {"runner": "pooling"},
            {"hf_overrides", "convert", "enable_prefix_caching"},
            id="cross-encoder",
        ),
    ],
)
def test_each_family_has_its_arguments(profile, present, absent):
    arguments = made(profile)

    assert present.items() <= arguments.items()
    assert not absent & set(arguments)


def test_what_the_operator_sets_wins_and_overrides_are_merged():
    original = Profile(Family.QWEN3_RERANKER, original_qwen3=True)

    arguments = made(
        original, enable_prefix_caching=False, hf_overrides={"rope_theta": 1}, enforce_eager=True
    )

    assert arguments["enable_prefix_caching"] is False
    assert arguments["enforce_eager"] is True
    assert arguments["hf_overrides"]["rope_theta"] == 1
    assert arguments["hf_overrides"]["is_original_qwen3_reranker"] is True


@pytest.mark.parametrize(
    ("machine", "given", "expected"),
    [
        pytest.param(CARD, {}, {"gpu_memory_utilization": 0.9}, id="a free card"),
        pytest.param(
            CARD, {"gpu_memory_utilization": 0.3}, {"gpu_memory_utilization": 0.3}, id="set"
        ),
        pytest.param(HOST, {}, {"block_size": 32, "kv_cache_memory_bytes": 4 * GIB}, id="a host"),
        pytest.param(HOST, {"block_size": 64}, {"block_size": 64}, id="a host, block set"),
        pytest.param(
            Machine(is_cpu=True, free_bytes=4 * GIB, total_bytes=8 * GIB),
            {},
            {"kv_cache_memory_bytes": GIB},
            id="a small host keeps most of its memory",
        ),
    ],
)
def test_memory_follows_what_the_machine_has(machine, given, expected):
    assert expected.items() <= made(machine=machine, **given).items()


@pytest.mark.parametrize(
    ("free", "share"),
    [
        pytest.param(80, 0.9, id="free"),
        pytest.param(41, 0.5, id="half taken"),
        pytest.param(0, 0.01, id="full: vLLM says what it lacks"),
        pytest.param(None, 0.9, id="unknown"),
    ],
)
def test_a_card_that_others_use_is_shared(free, share):
    free_bytes = None if free is None else free * GIB

    assert card_share(Machine(is_cpu=False, free_bytes=free_bytes, total_bytes=80 * GIB)) == share


def test_arguments_that_this_version_lacks_are_left_out():
    arguments = engine_arguments(
        model="/m", name="n", max_model_len=512, profile=RERANKER, machine=CARD, given={},
        known=KNOWN - {"runner"},
    )  # fmt: skip

    assert "runner" not in arguments


@pytest.mark.parametrize(
    ("wanted", "positions", "is_decoder", "expected"),
    [
        pytest.param(8192, 40960, True, (8192, 8193), id="a causal model has one to spare"),
        pytest.param(8192, None, True, (8192, 8193), id="positions unknown"),
        pytest.param(8192, 8192, True, (8191, 8192), id="as many as it has: one less"),
        pytest.param(8192, 4096, True, (4095, 4096), id="more than it has"),
        pytest.param(8192, 512, False, (512, 512), id="an encoder reads an input at once"),
        pytest.param(256, 512, False, (256, 256), id="an encoder, fewer wanted"),
    ],
)
def test_the_last_position_of_a_causal_model_stays_free(wanted, positions, is_decoder, expected):
    profile = Profile(Family.QWEN3_RERANKER, max_tokens=positions, is_decoder=is_decoder)

    assert context(wanted, profile) == expected
