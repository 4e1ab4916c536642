"""`POST /v1/embeddings`: OpenAI's format, with `input_type` beside it."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import to_json

from service.embedding import InputType, Vector
from service.errors import InvalidValue
from service.gateway.embed import Vectors
from service.gateway.schema import call, problem
from service.gateway.schema.call import Limits
from service.gateway.schema.document import Count


class EmbeddingsBody(BaseModel):
    """Turns texts into vectors, when the model that is served is an embedding model."""

    model_config = ConfigDict(
        extra="allow",
        strict=True,
        json_schema_extra={
            "examples": [{"input": ["how do I drain a replica?"], "input_type": "query"}]
        },
    )

    input: str | Annotated[list[str], Field(min_length=1, fail_fast=True)] = Field(
        description="a text or a list of texts; none of them empty, no token ids"
    )
    model: str | None = Field(None, description="any name is accepted; the answer names the model")
    encoding_format: Literal["float", "base64"] | None = Field(
        None, description="base64: float32 numbers, little-endian"
    )
    dimensions: Count | None = Field(
        None, description="only the model's own length: vectors are not shortened"
    )
    input_type: Literal["query", "document", "passage"] | None = Field(
        None,
        description="which of the model's prefixes is put before the texts; document when left "
        "out; passage means document",
    )
    user: str | None = Field(None, description="accepted, not used")


class EmbeddingResult(BaseModel):
    """One text's vector."""

    object: str
    index: int
    embedding: list[float] | str


class EmbeddingUsage(BaseModel):
    """Tokens that the engine computed, prefixes included."""

    prompt_tokens: int
    total_tokens: int


class EmbeddingMeta(BaseModel):
    """There only when there are warnings."""

    warnings: list[str]


class EmbeddingsAnswer(BaseModel):
    """Vectors of length 1 in the order of the texts."""

    object: str
    data: list[EmbeddingResult]
    model: str
    usage: EmbeddingUsage
    fingerprint: str = Field(description="vectors of one fingerprint can be compared")
    meta: EmbeddingMeta | None = None


@dataclass(frozen=True, slots=True)
class EmbeddingsCall:
    """A body of this format, read."""

    texts: tuple[str, ...]
    input_type: InputType
    is_base64: bool
    dimensions: int | None
    model: str | None
    warnings: tuple[str, ...]

    def notes_after(self, found: Vectors) -> tuple[str, ...]:
        """Warnings about what came of it: cut texts, another model."""
        notes = [
            f"input[{index}] did not fit whole and was truncated"
            for index, vector in enumerate(found.vectors)
            if vector.truncated
        ]
        if self.model and self.model != found.model:
            asked = self.model[: call.MAX_NAME]
            notes.append(f"the model {asked!r} is not served here; {found.model!r} answered")
        return tuple(notes)

    def answer(self, found: Vectors, warnings: tuple[str, ...]) -> bytes:
        """The body of the answer.

        Raises:
            InvalidValue: vectors of another length were asked for.
        """
        own = found.vectors[0].dimension
        if self.dimensions not in (None, own):
            raise InvalidValue(
                f"dimensions must be {own} or left out: vectors are not shortened here",
                param="dimensions",
            )
        body: dict[str, object] = {
            "object": "list",
            "data": [
                {"object": "embedding", "index": index, "embedding": self._written(vector)}
                for index, vector in enumerate(found.vectors)
            ],
            "model": found.model,
            "usage": {"prompt_tokens": found.tokens, "total_tokens": found.tokens},
            "fingerprint": found.space,
        }
        if warnings:
            body["meta"] = {"warnings": call.bounded(warnings)}
        return to_json(body)

    def _written(self, vector: Vector) -> list[float] | str:
        if self.is_base64:
            return base64.b64encode(vector.packed).decode("ascii")
        return vector.values()


def read(fields: dict[str, object], limits: Limits) -> EmbeddingsCall:
    """Read a body.

    Raises:
        InvalidValue: a field is missing or wrong; names the text's index.
    """
    limits.check_count(fields, "input")
    _refuse_token_ids(fields.get("input"))
    body = problem.validated(EmbeddingsBody, fields)
    texts = (body.input,) if isinstance(body.input, str) else tuple(body.input)
    for index, text in enumerate(texts):
        if not text.strip():
            param = "input" if isinstance(body.input, str) else f"input[{index}]"
            raise InvalidValue(f"{param} must not be empty", param=param)
    is_query = body.input_type == InputType.QUERY.value
    return EmbeddingsCall(
        texts=texts,
        input_type=InputType.QUERY if is_query else InputType.DOCUMENT,
        is_base64=body.encoding_format == "base64",
        dimensions=body.dimensions,
        model=body.model,
        warnings=call.notes_before(body.model_extra, ()),
    )


def _refuse_token_ids(given: object) -> None:
    first = given[0] if isinstance(given, list) and given else None
    if isinstance(first, int | list):
        raise InvalidValue(
            "input[0] must be a string: token ids are of another model's vocabulary "
            "(LangChain: check_embedding_ctx_length=False)",
            param="input[0]",
        )
