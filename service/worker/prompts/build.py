"""The prompt builder that a profile asks for."""

from __future__ import annotations

from dataclasses import dataclass

from service.request import DEFAULT_INSTRUCTION
from service.worker.prompts.embedding import EmbeddingPrompts
from service.worker.prompts.pair import PairPrompts
from service.worker.prompts.profile import Family, Profile
from service.worker.prompts.prompt import LongDocuments, PromptBuilder
from service.worker.prompts.qwen3 import Qwen3Prompts, mismatch
from service.worker.prompts.vocabulary import Vocabulary


class WrongVocabulary(ValueError):
    """The folder's tokenizer is not the one of its family: its scores would be noise."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the operator chose.

    Attributes:
        max_tokens: longest input.
        mode: what happens to documents that do not fit.
        instruction: default instruction; empty: the one that the model was trained with.
        query_prefix: for embedding models; None: what the profile knows.
        document_prefix: likewise.
    """

    max_tokens: int
    mode: LongDocuments = LongDocuments.FIT
    instruction: str = ""
    query_prefix: str | None = None
    document_prefix: str | None = None


def build_prompts(vocabulary: Vocabulary, profile: Profile, wishes: Wishes) -> PromptBuilder:
    """Make the builder and check the vocabulary.

    Raises:
        WrongVocabulary: says what differs.
    """
    if profile.family is Family.CROSS_ENCODER:
        return PairPrompts(
            vocabulary,
            max_tokens=wishes.max_tokens,
            mode=wishes.mode,
            has_types=profile.has_types,
        )
    instruction = wishes.instruction or DEFAULT_INSTRUCTION
    if profile.family is Family.EMBEDDING:
        query, document = wishes.query_prefix, wishes.document_prefix
        return EmbeddingPrompts(
            vocabulary,
            max_tokens=wishes.max_tokens,
            mode=wishes.mode,
            query_prefix=profile.query_prefix if query is None else query,
            document_prefix=profile.document_prefix if document is None else document,
            instruction=instruction,
        )
    wrong = mismatch(vocabulary)
    if wrong:
        raise WrongVocabulary(f"this is no Qwen3-Reranker: {wrong}")
    return Qwen3Prompts(
        vocabulary, max_tokens=wishes.max_tokens, mode=wishes.mode, instruction=instruction
    )
