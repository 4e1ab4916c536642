"""PURE: the exact shape of Qwen3-Reranker-0.6B, tensor by tensor, and how many numbers it has."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

END_OF_TEXT, END_OF_TURN = 151_643, 151_645
"""Ids of `<|endoftext|>` and `<|im_end|>`."""


@dataclass(frozen=True, slots=True)
class Shape:
    """Sizes by the names of the model's `config.json`, which is public."""

    layers: int = 28
    hidden: int = 1024
    heads: int = 16
    kv_heads: int = 8
    head_dim: int = 128
    intermediate: int = 3072
    vocabulary: int = 151_669
    positions: int = 40_960

    def tensors(self) -> dict[str, tuple[int, ...]]:
        """Every tensor's shape by its name; the output head is the embedding table again."""
        found: dict[str, tuple[int, ...]] = {
            "model.embed_tokens.weight": (self.vocabulary, self.hidden),
            "model.norm.weight": (self.hidden,),
        }
        query, key = self.heads * self.head_dim, self.kv_heads * self.head_dim
        for layer in range(self.layers):
            prefix = f"model.layers.{layer}."
            found |= {
                f"{prefix}input_layernorm.weight": (self.hidden,),
                f"{prefix}post_attention_layernorm.weight": (self.hidden,),
                f"{prefix}self_attn.q_norm.weight": (self.head_dim,),
                f"{prefix}self_attn.k_norm.weight": (self.head_dim,),
                f"{prefix}self_attn.q_proj.weight": (query, self.hidden),
                f"{prefix}self_attn.k_proj.weight": (key, self.hidden),
                f"{prefix}self_attn.v_proj.weight": (key, self.hidden),
                f"{prefix}self_attn.o_proj.weight": (self.hidden, query),
                f"{prefix}mlp.gate_proj.weight": (self.intermediate, self.hidden),
                f"{prefix}mlp.up_proj.weight": (self.intermediate, self.hidden),
                f"{prefix}mlp.down_proj.weight": (self.hidden, self.intermediate),
            }
        return found

    @property
    def parameters(self) -> int:
        """All of them, 0.6 billion."""
        return sum(math.prod(shape) for shape in self.tensors().values())

    @property
    def multiplied(self) -> int:
        """Those by which every token is multiplied: not the embedding table, which is looked up."""
        return self.parameters - self.vocabulary * self.hidden

    def config(self) -> dict[str, object]:
        """Content of `config.json`, of the original weights: a language model."""
        return {
            "architectures": ["Qwen3ForCausalLM"],
            "model_type": "qwen3",
            "attention_bias": False,
            "attention_dropout": 0.0,
            "bos_token_id": END_OF_TEXT,
            "eos_token_id": END_OF_TURN,
            "dtype": "bfloat16",
            "torch_dtype": "bfloat16",
            "head_dim": self.head_dim,
            "hidden_act": "silu",
            "hidden_size": self.hidden,
            "initializer_range": 0.02,
            "intermediate_size": self.intermediate,
            "max_position_embeddings": self.positions,
            "max_window_layers": self.layers,
            "num_attention_heads": self.heads,
            "num_hidden_layers": self.layers,
            "num_key_value_heads": self.kv_heads,
            "rms_norm_eps": 1e-6,
            "rope_scaling": None,
            "rope_theta": 1_000_000,
            "sliding_window": None,
            "tie_word_embeddings": True,
            "use_cache": True,
            "use_sliding_window": False,
            "vocab_size": self.vocabulary,
        }


def from_config(config: Mapping[str, object]) -> Shape:
    """The shape of a folder's model, for counting.

    Raises:
        KeyError, TypeError: it is a model of another kind.
    """

    def size(name: str) -> int:
        value = config[name]
        if not isinstance(value, int):
            raise TypeError(f"{name} is {value!r}")
        return value

    return Shape(
        layers=size("num_hidden_layers"),
        hidden=size("hidden_size"),
        heads=size("num_attention_heads"),
        kv_heads=size("num_key_value_heads"),
        head_dim=size("head_dim"),
        intermediate=size("intermediate_size"),
        vocabulary=size("vocab_size"),
        positions=size("max_position_embeddings"),
    )
