"""PURE. Qwen3-Reranker: a causal model asked, in a chat, if the document meets the requirements.

The texts are those of the official Transformers sample (QwenLM/Qwen3-Embedding, README.md). The
answer's place is the end of the suffix, so the suffix is never cut.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from service.errors import InvalidValue
from service.request import DEFAULT_INSTRUCTION
from service.worker.prompts.fitting import (
    Fitter,
    bounded,
    check_space,
    check_texts,
    cut_text,
    query_room,
)
from service.worker.prompts.prompt import LongDocuments, Prompt, Prompts
from service.worker.prompts.vocabulary import Vocabulary

PREFIX = (
    "<|im_start|>system\nJudge whether the Document meets the requirements based on the Query and "
    'the Instruct provided. Note that the answer can only be "yes" or "no".<|im_end|>\n'
    "<|im_start|>user\n"
)
SUFFIX = "<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"

YES_ID, NO_ID = 9693, 2152
"""Ids of `yes` and `no` in every Qwen3 vocabulary; checked against the model folder at start."""

GOLDEN_QUERY = "What is the capital of China?"
GOLDEN_DOCUMENT = "The capital of China is Beijing."
GOLDEN_TEXT_SHA256 = "a534f4970e1db52ff3b8c2cf0f26c7a273cccfe50b1213e859697ed3ca760526"
GOLDEN_IDS_SHA256 = "1a4aee8f95281c23870f85af5fa84c5a6a3261aa0f36d4b42cf778411226a47f"
"""Of the official sample's first pair with the default instruction: the UTF-8 bytes of the prompt,
and its ids as decimal numbers joined by commas; made once with the sample's own code."""


class Qwen3Prompts:
    r"""Implements `PromptBuilder`; both the original weights and the converted ones ask like this.

    The pieces are tokenized apart and give the ids of the whole: the vocabulary's splitting rule
    reads from left to right without looking back, the instruction's line ends before `\n<Query>`,
    and `<Document>:` ends a piece because a space follows it. So the cut is before that space, and
    the document is tokenized together with it: alone, a document's first word is another token.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        *,
        max_tokens: int,
        mode: LongDocuments = LongDocuments.FIT,
        instruction: str = DEFAULT_INSTRUCTION,
    ) -> None:
        """Make one.

        Args:
            vocabulary: of a Qwen3 model.
            max_tokens: longest input, prompt included.
            mode: what happens to documents that do not fit.
            instruction: used when a request has none.
        """
        self._vocabulary = vocabulary
        self._max_tokens = max_tokens
        self._mode = mode
        self._instruction = instruction
        self._fitter = Fitter(vocabulary, mode, lead=" ")
        self._prefix = vocabulary.template(PREFIX)
        self._suffix = vocabulary.template(SUFFIX)

    def build(
        self,
        query: str,
        documents: Sequence[str],
        instruction: str | None = None,
        max_tokens_per_doc: int | None = None,
    ) -> Prompts:
        instruction = instruction or self._instruction
        max_tokens_per_doc = max_tokens_per_doc or None
        check_texts(query, documents, instruction)
        query = bounded(self._vocabulary, query, self._max_tokens)
        instruction = bounded(self._vocabulary, instruction, self._max_tokens)
        read = self._fitter.read(
            documents, min(max_tokens_per_doc or self._max_tokens, self._max_tokens)
        )
        longest = max(len(encoding) for encoding, _ in read)
        if max_tokens_per_doc is not None:
            longest = min(longest, max_tokens_per_doc)
        head, query_cut = self._head(query, instruction, longest)
        room = self._max_tokens - len(head) - len(self._suffix)
        parts = self._fitter.parts(documents, read, room=room, wanted=max_tokens_per_doc)
        keep = room if max_tokens_per_doc is None else min(room, max_tokens_per_doc)
        return Prompts(
            documents=[
                Prompt(
                    token_ids=head + part.encoding.ids[:keep] + self._suffix,
                    document=part.document,
                    truncated=part.truncated or query_cut,
                    span=part.span,
                )
                for part in parts
            ]
        )

    def _head(self, query: str, instruction: str, longest_document: int) -> tuple[list[int], bool]:
        """Ids up to where the document starts, and whether the query was cut to make room."""
        head = self._frame(query, instruction)
        free = self._max_tokens - len(self._suffix) - len(head)
        if free >= longest_document:
            return head, False
        empty = len(self._frame("", instruction))
        space = self._max_tokens - len(self._suffix) - empty
        check_space(space, self._max_tokens)
        room = query_room(space, longest_document)
        over = len(head) - empty - room
        if over <= 0:
            return head, False
        if self._mode is LongDocuments.REJECT:
            raise InvalidValue(f"the query has more than the {room} tokens that fit", param="query")
        keep = room
        while over > 0 and keep > 0:
            # cutting can split a token in two, so the count is taken again
            head = self._frame(cut_text(self._vocabulary, query, keep), instruction)
            over = len(head) - empty - room
            keep -= over
        return head, True

    def _frame(self, query: str, instruction: str) -> list[int]:
        text = f"<Instruct>: {instruction}\n<Query>: {query}\n<Document>:"
        return self._prefix + self._vocabulary.text(text).ids


def prompt_text(query: str, document: str, instruction: str = DEFAULT_INSTRUCTION) -> str:
    """The whole prompt as one string, as the official sample asks."""
    body = f"<Instruct>: {instruction}\n<Query>: {query}\n<Document>: {document}"
    return PREFIX + body + SUFFIX


def mismatch(vocabulary: Vocabulary) -> str:
    """What is wrong with a model folder's vocabulary, in words; empty when it is Qwen3's.

    Compares the prompt's bytes and ids with the golden ones, and the ids of the two answers.
    """
    answers = vocabulary.token_id("yes"), vocabulary.token_id("no")
    if answers != (YES_ID, NO_ID):
        return f"the ids of yes and no are {answers}, not {(YES_ID, NO_ID)}"
    text = prompt_text(GOLDEN_QUERY, GOLDEN_DOCUMENT)
    if _sha256(text) != GOLDEN_TEXT_SHA256:
        return "the prompt's text is not the official one"
    builder = Qwen3Prompts(vocabulary, max_tokens=1024)
    ids = builder.build(GOLDEN_QUERY, [GOLDEN_DOCUMENT], DEFAULT_INSTRUCTION).documents[0].token_ids
    if _sha256(",".join(map(str, ids))) != GOLDEN_IDS_SHA256:
        return "the tokenizer makes other token ids of the official prompt"
    return ""


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
