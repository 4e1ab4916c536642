"""Which model a run uses: a folder that is given, or random weights of the real shape."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from deploy.gpu import weights
from deploy.gpu.part import Skip
from deploy.gpu.shape import Shape

_TOKENIZER = Path("build/qwen3/tokenizer.json")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options about the model and the interpreter that runs it."""
    parser.add_argument("--model", type=Path, help="model folder; default: random weights")
    parser.add_argument(
        "--tokenizer",
        type=Path,
        default=_TOKENIZER,
        help=f"Qwen3's tokenizer.json for random weights; default {_TOKENIZER}",
    )
    parser.add_argument(
        "--weights", type=Path, default=Path("build"), help="where random weights are written"
    )
    parser.add_argument("--python", default=sys.executable, help="interpreter that has vLLM")


def folder_of(given: argparse.Namespace) -> Path:
    """The folder; random weights are written once, 1.2 GB.

    Raises:
        Skip: there is no such folder, or no tokenizer to go with random weights.
    """
    model: Path | None = given.model
    if model is None:
        return weights.write(given.weights / weights.NAME, Shape(), given.tokenizer)
    if not (model / "config.json").is_file():
        raise Skip(f"{model} is no model folder: it has no config.json")
    return model
