from __future__ import annotations

import pytest

from service.worker.engine import LoadStep
from service.worker.engines.vllm_loading import load_step

BAR = "Loading safetensors checkpoint shards:  {}% Completed | 1/4 [00:00<?, ?it/s]"


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        pytest.param([], None, id="nothing yet"),
        pytest.param(["INFO something else"], None, id="nothing known"),
        pytest.param([BAR.format(25)], LoadStep("reading the weights", 0.25), id="a bar"),
        pytest.param(
            ["\r".join(BAR.format(n) for n in (25, 50, 75))],
            LoadStep("reading the weights", 0.75),
            id="a bar written over and over",
        ),
        pytest.param(
            [BAR.format(100), "(Worker pid=1) INFO x] Loading weights took 2.46 seconds", "other"],
            LoadStep("preparing the model"),
            id="the newest known line counts",
        ),
        pytest.param(
            ["GPU KV cache size: 9 tokens", "Capturing CUDA graphs (PIECEWISE):  40%|####"],
            LoadStep("capturing CUDA graphs", 0.4),
            id="graphs",
        ),
    ],
)
def test_the_log_tells_how_far_the_start_is(lines, expected):
    assert load_step(lines) == expected
