"""A tiny random Qwen3 with the real vocabulary: the real code path, scores that mean nothing.

python -m tests.real.tiny_qwen3 FOLDER --layers 4 --width 128
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from tests import qwen3_vocabulary

LAYERS, WIDTH = 2, 64
# Larger than Qwen3's 0.02, so that scores of different texts lie whole units apart, as a trained
# model's do, and a change of order means something.
SPREAD = 0.2


def write(folder: Path, *, layers: int = LAYERS, width: int = WIDTH) -> Path:
    """Write the folder; needs torch and Transformers."""
    import torch
    from transformers import Qwen3Config, Qwen3ForCausalLM

    torch.manual_seed(20)
    config = Qwen3Config(
        vocab_size=151_936,
        hidden_size=width,
        intermediate_size=2 * width,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=32,
        max_position_embeddings=40_960,
        tie_word_embeddings=True,
        initializer_range=SPREAD,
    )
    Qwen3ForCausalLM(config).to(torch.bfloat16).save_pretrained(folder)
    shutil.copy(qwen3_vocabulary.tokenizer_json(), folder / "tokenizer.json")
    (folder / "tokenizer_config.json").write_text(
        '{"tokenizer_class": "Qwen2Tokenizer", "pad_token": "<|endoftext|>",'
        ' "eos_token": "<|im_end|>", "model_max_length": 131072}\n',
        encoding="utf-8",
    )
    return folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--layers", type=int, default=LAYERS)
    parser.add_argument("--width", type=int, default=WIDTH)
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    print(write(given.folder, layers=given.layers, width=given.width))


if __name__ == "__main__":
    main()
