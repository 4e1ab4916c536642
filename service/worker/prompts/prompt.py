"""What a prompt builder makes: token ids, and where in the request each of them comes from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol


class LongDocuments(str, Enum):
    """What happens to a document that does not fit next to the query.

    FIT cuts it and says so, REJECT refuses the request and names the document, WINDOWS scores
    overlapping parts of it and the best one counts.
    """

    FIT = "fit"
    REJECT = "reject"
    WINDOWS = "windows"


@dataclass(frozen=True, slots=True)
class Prompt:
    """One input of the model.

    Attributes:
        token_ids: the whole input, special tokens included.
        document: index of the document in the request; a document cut in windows has several.
        truncated: the document or the query did not fit whole.
        span: characters of the document that this window holds; None when it is not a window.
        second_from: position of the first token of token type 1; None for models without types.
    """

    token_ids: list[int]
    document: int
    truncated: bool = False
    span: tuple[int, int] | None = None
    second_from: int | None = None


@dataclass(frozen=True, slots=True)
class Prompts:
    """All inputs of one request.

    Attributes:
        query: the query as an input of its own, for models that embed; None for models that read
            query and document together.
        documents: at least one for each document, in the documents' order.
    """

    documents: Sequence[Prompt]
    query: Prompt | None = None


class PromptBuilder(Protocol):
    """One model family's way to ask. Blocks for milliseconds: call it outside the event loop."""

    def build(
        self,
        query: str,
        documents: Sequence[str],
        instruction: str | None = None,
        max_tokens_per_doc: int | None = None,
    ) -> Prompts:
        """Token ids for a query and its documents, each no longer than the model takes.

        Args:
            query: the question.
            documents: what may answer it.
            instruction: the task in words, for families that read one; None: the default.
            max_tokens_per_doc: cut each document to that many tokens first.

        Raises:
            service.errors.InvalidValue: the instruction or, in reject mode, the query or a document
                does not fit; a text holds lone surrogates. Names the field and the index.
        """
        ...
