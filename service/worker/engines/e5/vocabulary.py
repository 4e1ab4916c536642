"""Text to token ids and windows. Special tokens in a text are plain text, whoever wrote them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

FILE = "plain-tokenizer.json"
BOS = 0
EOS = 2
PAD = 1
WINDOW = 512
"""Tokens that the model takes at once (its position table)."""

OVERLAP = 128
"""Body tokens that two neighbouring windows share at least: a passage cut by one is whole in the
other."""

MAX_DOCUMENT_TOKENS = 32_768
"""Body tokens of one document that are looked at."""

_CHARS_PER_TOKEN = 16
_UNMATCHABLE = " "  # the pre-tokenizer replaces every space, so no text contains such a piece

Ids = NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Text:
    """One text as the model takes it.

    Attributes:
        windows: each with its prefix and its special tokens, at most 512 long; at least one.
        spans: first and behind-the-last character of each window; empty for a single one.
        truncated: not all of the text is in the windows.
    """

    windows: tuple[Ids, ...]
    truncated: bool
    spans: tuple[tuple[int, int], ...] = ()


def write_plain(tokenizer: Path, target: Path) -> None:
    """Write a copy of `tokenizer.json` in which no text can become a special token.

    The list of added tokens goes, and their pieces get a name that no text matches. The library's
    own switch is not enough: the pieces stay in the vocabulary with the best possible score.
    """
    body: dict[str, Any] = json.loads(tokenizer.read_text("utf-8"))
    for token in body["added_tokens"]:
        entry = body["model"]["vocab"][token["id"]]
        entry[0] = _UNMATCHABLE + entry[0]
    body["added_tokens"] = []
    body["post_processor"] = None
    target.write_text(json.dumps(body, ensure_ascii=False, separators=(",", ":")), "utf-8")


def window_starts(length: int, size: int, overlap: int) -> list[int]:
    """Where windows of `size` begin so that they cover `length` and share at least `overlap`.

    They are as few as possible and spread evenly.
    """
    if length <= size:
        return [0]
    count = -(-(length - overlap) // (size - overlap))
    return [round(index * (length - size) / (count - 1)) for index in range(count)]


class Vocabulary:
    """The tokenizer with this model's two prefixes."""

    def __init__(self, path: Path) -> None:
        """Load; takes about a second and releases the GIL."""
        from tokenizers import Tokenizer  # noqa: PLC0415 - only the process that scores needs it

        self._tokenizer = Tokenizer.from_file(str(path))
        self._query = self._ids("query:")
        self._passage = self._ids("passage:")

    def query(self, text: str) -> Text:
        """One window: what does not fit is cut off the end."""
        [found] = self.queries([text])
        return found

    def queries(self, texts: Sequence[str]) -> list[Text]:
        """Each as one window: what does not fit is cut off the end."""
        return self._firsts(self._query, texts)

    def beginnings(self, texts: Sequence[str]) -> list[Text]:
        """Passages, each as one window: what does not fit is cut off the end."""
        return self._firsts(self._passage, texts)

    def _firsts(self, prefix: Ids, texts: Sequence[str]) -> list[Text]:
        room = WINDOW - 2 - len(prefix)
        return [
            Text((_framed(prefix, body[:room]),), cut or len(body) > room)
            for body, cut in zip(*self._bodies(texts, MAX_DOCUMENT_TOKENS), strict=True)
        ]

    def passages(self, texts: Sequence[str], max_tokens: int | None) -> list[Text]:
        """Each as one window, or as overlapping ones when it is long.

        Args:
            texts: a few dozen at a time: the call cannot be interrupted.
            max_tokens: body tokens after which a text is cut; None for 32,768.
        """
        limit = min(max_tokens or MAX_DOCUMENT_TOKENS, MAX_DOCUMENT_TOKENS)
        room = WINDOW - 2 - len(self._passage)
        found = []
        for text, body, cut in zip(texts, *self._bodies(texts, limit), strict=True):
            kept = body[:limit]
            starts = window_starts(len(kept), room, OVERLAP)
            windows = tuple(_framed(self._passage, kept[start : start + room]) for start in starts)
            spans = self._spans(text, limit, room, starts) if len(starts) > 1 else ()
            found.append(Text(windows, cut or len(body) > limit, spans))
        return found

    def _spans(
        self, text: str, limit: int, room: int, starts: Sequence[int]
    ) -> tuple[tuple[int, int], ...]:
        """Where the windows lie in the text; costs a second reading, which only long texts get."""
        [encoded] = self._tokenizer.encode_batch([text[: limit * _CHARS_PER_TOKEN]])
        offsets = encoded.offsets[:limit]
        return tuple(
            (offsets[start][0], offsets[min(start + room, len(offsets)) - 1][1]) for start in starts
        )

    def _bodies(self, texts: Sequence[str], limit: int) -> tuple[list[Ids], list[bool]]:
        """Token ids, and whether a text was cut before it was read to bound the work."""
        chars = limit * _CHARS_PER_TOKEN
        encoded = self._tokenizer.encode_batch_fast([text[:chars] for text in texts])
        bodies = [np.array(one.ids, dtype=np.int32) for one in encoded]
        return bodies, [len(text) > chars for text in texts]

    def _ids(self, text: str) -> Ids:
        return np.array(self._tokenizer.encode(text).ids, dtype=np.int32)


def _framed(prefix: Ids, body: Ids) -> Ids:
    return np.concatenate([[BOS], prefix, body, [EOS]]).astype(np.int32)
