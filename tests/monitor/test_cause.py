from __future__ import annotations

import pytest

from monitor.cause import SIGNS, find_cause


@pytest.mark.parametrize(
    ("log", "word"),
    [
        pytest.param(
            "INFO loading\n"
            "ValueError: Free memory on device cuda:0 (0.41/79.18 GiB) on startup is less than"
            " desired GPU memory utilization (0.9)\n"
            "vllm.v1.engine.exceptions.EngineDeadError: EngineCore encountered an issue\n",
            "gpu_memory_held",
            id="the first sign is the cause, the last its consequence",
        ),
        pytest.param(
            "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB",
            "gpu_out_of_memory",
            id="the card is too small",
        ),
        pytest.param(
            "RuntimeError: CUDA error: an illegal memory access was encountered",
            "cuda_error",
            id="the card failed",
        ),
        pytest.param("OSError: [Errno 28] No space left on device", "disk_full", id="disk"),
        pytest.param(
            "OSError: nope is not a local folder and is not a valid model identifier",
            "no_such_model",
            id="no model",
        ),
        pytest.param(
            "WARNING shm_broadcast: No available shared memory broadcast block found in 60 s",
            None,
            id="a line that is also logged when idle",
        ),
        pytest.param("INFO ready\nINFO 200 OK\n", None, id="nothing known"),
        pytest.param("", None, id="no log"),
    ],
)
def test_a_cause_is_found(log, word):
    sign = find_cause(log)

    assert (None if sign is None else sign.word) == word


def test_every_cause_has_one_word_and_says_what_helps():
    assert len({sign.word for sign in SIGNS}) == len(SIGNS)
    assert all(sign.means for sign in SIGNS)
