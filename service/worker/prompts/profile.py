"""Which family a model folder belongs to, read from its `config.json`; unknown is refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

CONFIGURE = (
    "set [engine] profile to qwen3_reranker, cross_encoder or embedding if you know that it is one"
)


class Family(str, Enum):
    """How a model is asked, and what its output means."""

    QWEN3_RERANKER = "qwen3_reranker"
    CROSS_ENCODER = "cross_encoder"
    EMBEDDING = "embedding"


class UnknownModel(ValueError):
    """Nothing is known of this architecture, so its scores would be noise."""


@dataclass(frozen=True, slots=True)
class Profile:
    """What the folder says.

    Attributes:
        family: how to ask.
        original_qwen3: the weights are the language model's, so the engine must make the two-way
            head out of the rows of `yes` and `no`.
        max_tokens: longest input that the positions allow; None when the config does not say.
        has_types: the model has two token types.
        is_decoder: causal, so that an engine may read an input in pieces.
        query_prefix: for embedding models with a known convention.
        document_prefix: likewise.
    """

    family: Family
    original_qwen3: bool = False
    max_tokens: int | None = None
    has_types: bool = False
    is_decoder: bool = False
    query_prefix: str = ""
    document_prefix: str = ""


# Encoders whose position table starts behind the padding index (fairseq's numbering).
_OFFSET_POSITIONS = {"roberta", "xlm-roberta", "camembert", "xlm-roberta-xl"}

# (part of the name, query prefix, document prefix): from each model's card.
_PREFIXES = (
    ("e5-mistral", "Instruct: {instruction}\nQuery: ", ""),
    ("e5", "query: ", "passage: "),
    ("qwen3-embedding", "Instruct: {instruction}\nQuery:", ""),
    ("bge-m3", "", ""),
    ("gte-multilingual", "", ""),
)

_EMBEDDERS = {
    "BertModel",
    "RobertaModel",
    "XLMRobertaModel",
    "ModernBertModel",
    "NomicBertModel",
    "NewModel",
    "GteModel",
    "Qwen3Model",
}


def choose(
    config: Mapping[str, object],
    *,
    name: str,
    sentence_embedding: bool,
    sentence_tokens: int | None = None,
    configured: Family | None = None,
) -> Profile:
    """The profile of a model folder.

    Args:
        config: content of `config.json`.
        name: hub id or folder name, for conventions that no file records.
        sentence_embedding: the folder has a `modules.json` of Sentence Transformers.
        sentence_tokens: longest input that the folder's Sentence Transformers settings allow.
        configured: the family that the operator set; None: decide from the config.

    Raises:
        UnknownModel: says why and what to configure.
    """
    architecture = _architecture(config)
    family = configured or _family(
        config, architecture, name, sentence_embedding=sentence_embedding
    )
    if family is Family.CROSS_ENCODER:
        _check_one_label(config, architecture)
    query_prefix, document_prefix = ("", "")
    if family is Family.EMBEDDING:
        query_prefix, document_prefix = _prefixes(config, name, configured)
    types = config.get("type_vocab_size")
    return Profile(
        family=family,
        original_qwen3=family is Family.QWEN3_RERANKER and architecture == "Qwen3ForCausalLM",
        max_tokens=min(filter(None, (_max_tokens(config), sentence_tokens)), default=None),
        has_types=isinstance(types, int) and types > 1,
        is_decoder=not _is_encoder(config),
        query_prefix=query_prefix,
        document_prefix=document_prefix,
    )


def _architecture(config: Mapping[str, object]) -> str:
    names = config.get("architectures")
    if isinstance(names, Sequence) and not isinstance(names, str) and names:
        return str(names[0])
    raise UnknownModel("config.json names no architecture; this is not a complete model folder")


def _family(
    config: Mapping[str, object], architecture: str, name: str, *, sentence_embedding: bool
) -> Family:
    lower = name.lower()
    if architecture == "Qwen3ForSequenceClassification":
        return Family.QWEN3_RERANKER
    if architecture == "Qwen3ForCausalLM" and "embedding" in lower:
        return Family.EMBEDDING
    if architecture == "Qwen3ForCausalLM":
        # the original reranker is stored as the language model that it is; only its name tells
        if "rerank" in lower:
            return Family.QWEN3_RERANKER
        raise UnknownModel(
            f"{architecture} is a language model, and its name ({name}) does not say that it is a "
            f"reranker; {CONFIGURE}"
        )
    if architecture.endswith("ForSequenceClassification") and _is_encoder(config):
        return Family.CROSS_ENCODER
    if architecture in _EMBEDDERS and (sentence_embedding or _known_prefix(lower)):
        return Family.EMBEDDING
    raise UnknownModel(f"{architecture} ({name}) is of no family that is known here; {CONFIGURE}")


def _is_encoder(config: Mapping[str, object]) -> bool:
    kind = str(config.get("model_type", ""))
    return "bert" in kind or kind in {"new", "gte"}


def _check_one_label(config: Mapping[str, object], architecture: str) -> None:
    """A reranker has one output; a classifier with several is some other kind of model.

    `num_labels` is not written when it is the default of 2, so the label table decides.
    """
    labels = config.get("id2label")
    count = len(labels) if isinstance(labels, Mapping) else config.get("num_labels", 2)
    if count != 1:
        raise UnknownModel(
            f"{architecture} has {count} output labels: it is a classifier, a reranker has one"
        )


def _known_prefix(name: str) -> tuple[str, str] | None:
    for part, query, document in _PREFIXES:
        if part in name:
            return query, document
    return None


def _prefixes(
    config: Mapping[str, object], name: str, configured: Family | None
) -> tuple[str, str]:
    known = _known_prefix(name.lower()) or _known_prefix(
        str(config.get("_name_or_path", "")).lower()
    )
    if known is None and configured is None:
        raise UnknownModel(
            f"{name} is an embedding model whose prefixes are not known here; set [engine] profile "
            "to embedding and, if the model was trained with them, [engine.embedding] "
            "query_prefix and document_prefix"
        )
    return known or ("", "")


def _max_tokens(config: Mapping[str, object]) -> int | None:
    positions = config.get("max_position_embeddings")
    if not isinstance(positions, int):
        return None
    if config.get("model_type") in _OFFSET_POSITIONS:
        padding = config.get("pad_token_id")
        return positions - (padding if isinstance(padding, int) else 1) - 1
    return positions
