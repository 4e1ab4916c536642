"""What the official Transformers sample computes, on the same folder, one pair at a time.

Written from the sample's description (QwenLM/Qwen3-Embedding, README.md): prefix and suffix around
a body that is tokenized on its own, and the logits of `yes` and `no` at the last position.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from service.request import DEFAULT_INSTRUCTION

PREFIX = (
    "<|im_start|>system\nJudge whether the Document meets the requirements based on the Query and"
    ' the Instruct provided. Note that the answer can only be "yes" or "no".<|im_end|>\n'
    "<|im_start|>user\n"
)
SUFFIX = "<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"


class Reference:
    """The plain implementation, in single precision or in that of the weights."""

    def __init__(self, folder: Path, dtype: str) -> None:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        self._torch = torch
        self._tokenizer = AutoTokenizer.from_pretrained(folder, padding_side="left")
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=getattr(torch, dtype))
        self._model = model.eval()
        self._yes = self._tokenizer.convert_tokens_to_ids("yes")
        self._no = self._tokenizer.convert_tokens_to_ids("no")

    def ids(self, query: str, document: str, max_tokens: int) -> list[int]:
        prefix = self._tokenizer.encode(PREFIX, add_special_tokens=False)
        suffix = self._tokenizer.encode(SUFFIX, add_special_tokens=False)
        body = f"<Instruct>: {DEFAULT_INSTRUCTION}\n<Query>: {query}\n<Document>: {document}"
        tokenized = self._tokenizer(
            [body],
            padding=False,
            truncation="longest_first",
            return_attention_mask=False,
            max_length=max_tokens - len(prefix) - len(suffix),
        )
        return prefix + tokenized["input_ids"][0] + suffix

    def logit(self, ids: Sequence[int]) -> float:
        """Logit of yes minus logit of no; its sigmoid is the sample's score."""
        with self._torch.no_grad():
            inputs = self._torch.tensor([list(ids)])
            last = self._model(input_ids=inputs, logits_to_keep=1).logits[0, -1].float()
        return float(last[self._yes] - last[self._no])
