"""Cross-encoders: query and document in the pair format that the tokenizer itself prescribes."""

from __future__ import annotations

from collections.abc import Sequence

from tokenizers import Encoding

from service.errors import InvalidValue
from service.worker.prompts.fitting import Fitter, bounded, check_texts, cut_text, query_room
from service.worker.prompts.prompt import LongDocuments, Prompt, Prompts
from service.worker.prompts.vocabulary import Vocabulary


class PairPrompts:
    """Implements `PromptBuilder` for bge-reranker, MiniLM and their like.

    These models read no instruction; one that a request carries is ignored.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        *,
        max_tokens: int,
        mode: LongDocuments = LongDocuments.FIT,
        has_types: bool = False,
    ) -> None:
        """Make one.

        Args:
            vocabulary: its post-processor defines the pair format.
            max_tokens: longest input, special tokens included.
            mode: what happens to documents that do not fit.
            has_types: the model tells the two texts apart by token types (BERT).
        """
        self._vocabulary = vocabulary
        self._space = max_tokens - vocabulary.frame_size(pair=True)
        self._mode = mode
        self._has_types = has_types
        self._fitter = Fitter(vocabulary, mode)

    def build(
        self,
        query: str,
        documents: Sequence[str],
        instruction: str | None = None,  # noqa: ARG002 - no instruction in this family
        max_tokens_per_doc: int | None = None,
    ) -> Prompts:
        check_texts(query, documents, None)
        query = bounded(self._vocabulary, query, self._space + 1)
        max_tokens_per_doc = max_tokens_per_doc or None
        wanted = min(max_tokens_per_doc or self._space, self._space)
        read = self._fitter.read(documents, wanted)
        longest = min(wanted, max(len(encoding) for encoding, _ in read))
        asked, query_cut = self._query(query, longest)
        room = self._space - len(asked)
        parts = self._fitter.parts(documents, read, room=room, wanted=max_tokens_per_doc)
        prompts = []
        for part in parts:
            part.encoding.truncate(min(room, wanted))
            framed = self._vocabulary.frame(asked, part.encoding)
            prompts.append(
                Prompt(
                    token_ids=framed.ids,
                    document=part.document,
                    truncated=part.truncated or query_cut,
                    span=part.span,
                    second_from=_second_from(framed.type_ids) if self._has_types else None,
                )
            )
        return Prompts(documents=prompts)

    def _query(self, query: str, longest_document: int) -> tuple[Encoding, bool]:
        asked = self._vocabulary.text(query)
        room = query_room(self._space, longest_document)
        if len(asked) <= room:
            return asked, False
        if self._mode is LongDocuments.REJECT:
            raise InvalidValue(f"the query has more than the {room} tokens that fit", param="query")
        asked = self._vocabulary.text(cut_text(self._vocabulary, query, room))
        asked.truncate(room)
        return asked, True


def _second_from(type_ids: Sequence[int]) -> int:
    """Where type 1 starts; the length when it never does (an empty document)."""
    return type_ids.index(1) if 1 in type_ids else len(type_ids)
