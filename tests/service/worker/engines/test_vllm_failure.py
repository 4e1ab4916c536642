from __future__ import annotations

import pytest

from service.worker.engines.vllm_failure import find_cause

CORE = "(EngineCore pid=812) ERROR 11-22 12:01:01 [core.py:1210] "


@pytest.mark.parametrize(
    ("line", "permanent"),
    [
        pytest.param(
            "ValueError: Free memory on device cuda:0 (1.2/79.2 GiB) on startup is less than "
            "desired GPU memory utilization (0.9, 71.3 GiB).",
            False,
            id="the card is taken",
        ),
        pytest.param(
            "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.",
            False,
            id="out of memory",
        ),
        pytest.param(
            "ValueError: To serve at least one request with the model's max seq len (40960), "
            "(4.38 GiB KV cache is needed",
            True,
            id="context too long for the card",
        ),
        pytest.param(
            "ValueError: No available memory for the cache blocks. Try increasing",
            True,
            id="no cache",
        ),
        pytest.param(
            "ValueError: Model architectures ['FooForBar'] are not supported for now.",
            True,
            id="unknown architecture",
        ),
        pytest.param(
            "RuntimeError: Cannot find any model weights with `/models/x`", True, id="no weights"
        ),
        pytest.param(
            "safetensors_rust.SafetensorError: Error while deserializing header: InvalidHeader",
            True,
            id="damaged weights",
        ),
        pytest.param(
            "RuntimeError: CUDA error: uncorrectable ECC error encountered", False, id="bad card"
        ),
        pytest.param(
            "RuntimeError: The NVIDIA driver version is insufficient", True, id="old driver"
        ),
        pytest.param("OSError: [Errno 28] No space left on device", False, id="disk full"),
        pytest.param(
            "pydantic_core.ValidationError: 1 validation error for ModelConfig",
            True,
            id="bad argument",
        ),
        pytest.param("RuntimeError: something new", False, id="unknown: another try may work"),
    ],
)
def test_failures_are_told_apart(line, permanent):
    cause = find_cause([CORE + line], "RuntimeError: something new")

    assert cause.permanent is permanent
    assert cause.line.startswith(line)


def test_the_earliest_known_signature_counts():
    cause = find_cause(
        [
            "(Worker pid=9) INFO 11-22 12:01:00 [loader.py:1] CUDA error handling is on",
            "(Worker pid=9) WARNING 11-22 12:01:00 [x.py:1] NVML is not here",
            CORE + "Traceback (most recent call last):",
            CORE + "    raise ValueError(",
            CORE + "torch.OutOfMemoryError: CUDA out of memory.",
            "RuntimeError: Engine core initialization failed. See root cause above.",
            "ValueError: later",
        ],
        "RuntimeError: Engine core initialization failed.",
    )

    assert cause.line.startswith("torch.OutOfMemoryError")


def test_a_cause_is_one_short_line():
    cause = find_cause([], "x" * 5000)

    assert len(cause.line) <= 300
