"""The same weights as a Hugging Face folder, for vLLM, Transformers or sentence-transformers."""

from __future__ import annotations

import json
import shutil
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from service.settings import EmbeddedSettings
from service.worker.engine import LoadStep
from service.worker.engines.e5 import source, store
from service.worker.engines.e5.vocabulary import WINDOW
from service.worker.engines.e5.weights import Shape, Weights

Half = NDArray[np.float16]

_LAYER_PARTS = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}
"""Names in the source -> names in Transformers' BertModel."""

_SENTENCE_TRANSFORMERS = "sentence_transformers.models"


def write_hf_folder(
    path: Path,
    settings: EmbeddedSettings | None = None,
    report: Callable[[LoadStep], None] = lambda _: None,
) -> Path:
    """Write config, float16 weights (235 MB), tokenizer and pooling into `path`; return it.

    A folder that is already complete is left as it is.

    Raises:
        service.worker.engine.EngineStartError: the sources cannot be had.
    """
    if (path / "config.json").is_file():
        return path
    sources = store.prepare_sources(settings or EmbeddedSettings(), report)
    weights = Weights(sources / source.WEIGHTS_FILE)
    path.mkdir(parents=True, exist_ok=True)
    report(LoadStep("writing the Hugging Face folder"))
    write_safetensors(path / "model.safetensors", dict(_tensors(weights)))
    shutil.copyfile(sources / source.TOKENIZER_FILE, path / "tokenizer.json")
    for name, body in _documents(weights.shape).items():
        target = path / name
        target.parent.mkdir(exist_ok=True)
        target.write_text(json.dumps(body, indent=2) + "\n", "utf-8")
    return path


def write_safetensors(path: Path, tensors: dict[str, Half]) -> None:
    """Write float16 tensors: length of the header (u64), header in JSON, then the data."""
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    at = 0
    for name, tensor in tensors.items():
        offsets = [at, at + tensor.nbytes]
        header[name] = {"dtype": "F16", "shape": list(tensor.shape), "data_offsets": offsets}
        at += tensor.nbytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)))
        file.write(text)
        for tensor in tensors.values():
            file.write(np.ascontiguousarray(tensor).data)


def _tensors(weights: Weights) -> Iterator[tuple[str, Half]]:
    shape = weights.shape
    half = np.float16
    yield (
        "embeddings.word_embeddings.weight",
        weights.matrix("emb.word", shape.hidden).dense().astype(half),
    )
    for ours, theirs in (("pos", "position"), ("type", "token_type")):
        values = weights.vector(f"emb.{ours}").reshape(-1, shape.hidden)
        yield f"embeddings.{theirs}_embeddings.weight", values.astype(half)
    for ours, theirs in (("w", "weight"), ("b", "bias")):
        yield f"embeddings.LayerNorm.{theirs}", weights.vector(f"emb.ln.{ours}").astype(half)
    for layer in range(shape.layers):
        for ours, theirs in _LAYER_PARTS.items():
            source_name, name = f"l{layer}.{ours}", f"encoder.layer.{layer}.{theirs}"
            if ours.endswith("ln"):
                weight = weights.vector(f"{source_name}.w")
            else:
                columns = shape.ffn if ours == "fo" else shape.hidden
                weight = weights.matrix(f"{source_name}.w", columns).dense()
            yield f"{name}.weight", weight.astype(half)
            yield f"{name}.bias", weights.vector(f"{source_name}.b").astype(half)


def _documents(shape: Shape) -> dict[str, object]:
    """The small JSON files; `config.json` is last, since it says that the folder is complete."""
    special = {
        "bos_token": "<s>",
        "cls_token": "<s>",
        "eos_token": "</s>",
        "sep_token": "</s>",
        "pad_token": "<pad>",
        "unk_token": "<unk>",
        "mask_token": "<mask>",
    }
    return {
        "special_tokens_map.json": special,
        "tokenizer_config.json": {
            **special,
            "model_max_length": WINDOW,
            "tokenizer_class": "XLMRobertaTokenizerFast",
        },
        "sentence_bert_config.json": {"max_seq_length": WINDOW, "do_lower_case": False},
        "modules.json": [
            _module(0, "", "Transformer"),
            _module(1, "1_Pooling", "Pooling"),
            _module(2, "2_Normalize", "Normalize"),
        ],
        "1_Pooling/config.json": {
            "word_embedding_dimension": shape.hidden,
            "pooling_mode_cls_token": False,
            "pooling_mode_mean_tokens": True,
            "pooling_mode_max_tokens": False,
            "pooling_mode_mean_sqrt_len_tokens": False,
        },
        "config.json": {
            "architectures": ["BertModel"],
            "model_type": "bert",
            "hidden_act": "gelu",
            "hidden_size": shape.hidden,
            "num_hidden_layers": shape.layers,
            "num_attention_heads": shape.heads,
            "intermediate_size": shape.ffn,
            "vocab_size": shape.vocabulary,
            "max_position_embeddings": shape.positions,
            "type_vocab_size": shape.types,
            "layer_norm_eps": shape.epsilon,
            "position_embedding_type": "absolute",
            "pad_token_id": 1,
            "bos_token_id": 0,
            "eos_token_id": 2,
            "hidden_dropout_prob": 0.1,
            "attention_probs_dropout_prob": 0.1,
            "initializer_range": 0.02,
            "torch_dtype": "float16",
        },
    }


def _module(index: int, path: str, kind: str) -> dict[str, object]:
    return {
        "idx": index,
        "name": str(index),
        "path": path,
        "type": f"{_SENTENCE_TRANSFORMERS}.{kind}",
    }
