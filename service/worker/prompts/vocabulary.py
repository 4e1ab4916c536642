"""A model's tokenizer in two forms: one for our own templates, one for what users write.

In a template `<|im_end|>` is the token that ends a turn. In a user's text it is ten characters: the
form for texts knows no such tokens, so no document can close the turn and answer for the judge.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from typing import Any

from tokenizers import Encoding, Tokenizer

# Texts are cut before they are tokenized to this many characters per wanted token, and to more when
# that was too little: five megabytes cost three seconds otherwise, for tokens that nobody reads.
CHARS_PER_TOKEN = 8


class Vocabulary:
    """Turns strings into token ids; safe to use from several threads."""

    def __init__(self, tokenizer_json: str) -> None:
        """Load.

        Args:
            tokenizer_json: content of a model folder's `tokenizer.json`.
        """
        self._template = Tokenizer.from_str(tokenizer_json)
        self._template.no_truncation()
        self._template.no_padding()
        plain = plain_text_only(json.loads(tokenizer_json), secrets.token_hex(16))
        self._text = Tokenizer.from_str(json.dumps(plain))
        self._text.no_truncation()
        self._text.no_padding()

    def token_id(self, token: str) -> int | None:
        """The id of one token, written as in the vocabulary; None when there is none."""
        found: int | None = self._template.token_to_id(token)
        return found

    def template(self, text: str) -> list[int]:
        """Ids of our own text, in which special tokens are tokens; adds none."""
        ids: list[int] = self._template.encode(text, add_special_tokens=False).ids
        return ids

    def text(self, text: str) -> Encoding:
        """A user's text with character offsets; special tokens in it are plain characters."""
        return self._text.encode(text, add_special_tokens=False)

    def texts(
        self, texts: Sequence[str], *, limit: int, offsets: bool = False
    ) -> list[tuple[Encoding, bool]]:
        """Users' texts in one call that leaves the interpreter lock alone.

        Args:
            texts: any strings without lone surrogates.
            limit: tokens that the caller can use of each; at least 1.
            offsets: whether the encodings carry character offsets (a quarter slower).

        Returns:
            For each text its encoding, and whether only the beginning of the text was encoded; that
            beginning has more than `limit` tokens.
        """
        encode = self._text.encode_batch if offsets else self._text.encode_batch_fast
        room = limit * CHARS_PER_TOKEN
        found = encode([text[:room] for text in texts], add_special_tokens=False)
        short = [len(text) > room for text in texts]
        while True:
            again = [i for i, enc in enumerate(found) if short[i] and len(enc) <= limit]
            if not again:
                return list(zip(found, short, strict=True))
            room *= 4
            more = encode([texts[i][:room] for i in again], add_special_tokens=False)
            for i, encoding in zip(again, more, strict=True):
                found[i] = encoding
                short[i] = len(texts[i]) > room

    def frame(self, first: Encoding, second: Encoding | None = None) -> Encoding:
        """Put the tokenizer's own special tokens around one text, or around and between two."""
        return self._text.post_process(first, second, True)

    def frame_size(self, *, pair: bool) -> int:
        """How many special tokens `frame` adds."""
        size: int = self._text.num_special_tokens_to_add(pair)
        return size


def plain_text_only(tokenizer: dict[str, Any], secret: str) -> dict[str, Any]:
    """The same tokenizer, for which control tokens in a text are ordinary characters.

    Added tokens that stand for runs of white space stay: they are part of how plain text is read
    (ModernBERT). The others get a name that no text can contain. They are not left out, since the
    ids of those that stay follow from their place in the list. A Unigram model (XLM-RoBERTa) finds
    control tokens among its pieces too, so they are renamed there as well.

    Args:
        tokenizer: content of a `tokenizer.json`.
        secret: part of the new names; nobody who writes texts may know it.
    """
    model = dict(tokenizer["model"])
    pieces = model["vocab"]
    named = set(pieces) if isinstance(pieces, dict) else {piece for piece, _ in pieces}
    added = []
    renamed = {}
    for index, token in enumerate(tokenizer.get("added_tokens") or []):
        content = token["content"]
        if not token["special"] and not content.strip():
            added.append(token)
            continue
        renamed[content] = f"{secret}-{index}"
        if content not in named:  # one that is in the vocabulary has its id from there
            added.append({**token, "content": renamed[content]})
    if model.get("type") == "Unigram":
        model["vocab"] = [[renamed.get(piece, piece), score] for piece, score in pieces]
    return {**tokenizer, "model": model, "added_tokens": added}
