"""Writes a model folder of random weights: the real shape and dtype, scores that mean nothing."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import numpy as np

from deploy.gpu.part import Skip
from deploy.gpu.shape import Shape

NAME = "Qwen3-Reranker-0.6B-random"
SPREAD = 0.02
"""Of the weights: `initializer_range` of the model's config."""

_SEED = 20
_ROWS = 1 << 22


def write(folder: Path, shape: Shape, tokenizer: Path | None) -> Path:
    """The folder with config, vocabulary and weights; one that is there and whole is kept.

    Args:
        tokenizer: Qwen3's `tokenizer.json`: the worker refuses any other, and rightly so.

    Raises:
        Skip: there is none.
    """
    done = folder / "done"
    if done.is_file():
        return folder
    if tokenizer is None or not tokenizer.is_file():
        raise Skip(
            "random weights need Qwen3's tokenizer.json; make it where there is a network"
            " (`make build/qwen3/tokenizer.json`) and give it with --tokenizer, or give --model"
        )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(shape.config(), indent=1) + "\n", "utf-8")
    shutil.copy(tokenizer, folder / "tokenizer.json")
    settings = {
        "tokenizer_class": "Qwen2Tokenizer",
        "pad_token": "<|endoftext|>",
        "eos_token": "<|im_end|>",
        "model_max_length": 131_072,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings) + "\n", "utf-8")
    _write_tensors(folder / "model.safetensors", shape)
    done.write_text("")
    return folder


def _write_tensors(path: Path, shape: Shape) -> None:
    """The safetensors format: length of the header, header, data in its order."""
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    at = 0
    for name, size in shape.tensors().items():
        end = at + 2 * math.prod(size)
        header[name] = {"dtype": "BF16", "shape": list(size), "data_offsets": [at, end]}
        at = end
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    source = np.random.default_rng(_SEED)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little"))
        file.write(text)
        for name, size in shape.tensors().items():
            left = math.prod(size)
            while left:
                count = min(left, _ROWS)
                file.write(_bf16(source, count, ones="norm" in name))
                left -= count


def _bf16(source: np.random.Generator, count: int, *, ones: bool) -> bytes:
    """Little-endian bfloat16: the upper half of a float32."""
    if ones:
        values = np.ones(count, dtype=np.float32)
    else:
        values = source.standard_normal(count, dtype=np.float32) * np.float32(SPREAD)
    return (values.view(np.uint32) >> 16).astype("<u2").tobytes()
