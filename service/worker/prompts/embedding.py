"""Embedding models: query and document are inputs of their own, each with its prefix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from service.errors import InvalidValue
from service.worker.prompts.fitting import (
    Fitter,
    bounded,
    check_texts,
    cut_text,
    is_unicode,
)
from service.worker.prompts.prompt import LongDocuments, Prompt, Prompts
from service.worker.prompts.vocabulary import Vocabulary


class EmbeddingPrompts:
    """Implements `PromptBuilder`; the engine compares the two vectors.

    A prefix for queries may hold `{instruction}`; without that, an instruction is ignored.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        *,
        max_tokens: int,
        mode: LongDocuments = LongDocuments.FIT,
        query_prefix: str = "",
        document_prefix: str = "",
        instruction: str = "",
    ) -> None:
        """Make one.

        Args:
            vocabulary: of the model.
            max_tokens: longest input, special tokens included.
            mode: what happens to documents that do not fit.
            query_prefix: before the query; `{instruction}` in it is replaced.
            document_prefix: before each document.
            instruction: used when a request has none.
        """
        self._vocabulary = vocabulary
        self._room = max_tokens - vocabulary.frame_size(pair=False)
        self._mode = mode
        self._query_prefix = query_prefix
        self._instruction = instruction
        self._document_prefix_tokens = len(vocabulary.text(document_prefix))
        self._fitter = Fitter(vocabulary, mode, lead=document_prefix)

    def build(
        self,
        query: str,
        documents: Sequence[str],
        instruction: str | None = None,
        max_tokens_per_doc: int | None = None,
    ) -> Prompts:
        check_texts(query, documents, instruction)
        asked = self._query(query, instruction or self._instruction)
        prompts = self._documents(documents, max_tokens_per_doc, cut=asked.truncated)
        return Prompts(documents=prompts, query=asked)

    def inputs(self, texts: Sequence[str], *, queries: bool) -> list[Prompt]:
        """One input for each text, as a query or as a document; long ones are cut or refused.

        Raises:
            InvalidValue: a text holds lone surrogates or, in reject mode, does not fit; names
                `texts[index]`.
        """
        inputs = []
        for index, text in enumerate(texts):
            param = f"texts[{index}]"
            if not is_unicode(text):
                raise InvalidValue(f"{param} holds a lone surrogate: it is not a text", param=param)
            try:
                found = (
                    [self._query(text, self._instruction)]
                    if queries
                    else self._documents([text], None)
                )
            except InvalidValue as error:
                raise InvalidValue(f"{param} has too many tokens", param=param) from error
            first = found[0]  # of several windows the first stands for the text
            truncated = first.truncated or len(found) > 1
            inputs.append(replace(first, document=index, truncated=truncated))
        return inputs

    def _documents(
        self, documents: Sequence[str], max_tokens_per_doc: int | None, *, cut: bool = False
    ) -> list[Prompt]:
        wanted = max_tokens_per_doc + self._document_prefix_tokens if max_tokens_per_doc else None
        read = self._fitter.read(documents, min(wanted or self._room, self._room))
        prompts = []
        for part in self._fitter.parts(documents, read, room=self._room, wanted=wanted):
            part.encoding.truncate(min(self._room, wanted or self._room))
            prompts.append(
                Prompt(
                    token_ids=self._vocabulary.frame(part.encoding).ids,
                    document=part.document,
                    truncated=part.truncated or cut,
                    span=part.span,
                )
            )
        return prompts

    def _query(self, query: str, instruction: str) -> Prompt:
        text = self._query_prefix.replace("{instruction}", instruction) + query
        text = bounded(self._vocabulary, text, self._room + 1)
        asked = self._vocabulary.text(text)
        too_long = len(asked) > self._room
        if too_long and self._mode is LongDocuments.REJECT:
            raise InvalidValue(
                f"the query has more than the {self._room} tokens that fit", param="query"
            )
        if too_long:
            asked = self._vocabulary.text(cut_text(self._vocabulary, text, self._room))
            asked.truncate(self._room)
        ids = self._vocabulary.frame(asked).ids
        return Prompt(token_ids=ids, document=-1, truncated=too_long)
