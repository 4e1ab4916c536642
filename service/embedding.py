"""A list of texts to embed, and its vectors: how they travel to a worker and back.

Knows no wire format of the public API and no engine.
"""

from __future__ import annotations

import base64
import binascii
import math
import sys
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from service.errors import InvalidValue


class InputType(str, Enum):
    """What a text is for: retrieval models were trained with another prefix for each."""

    QUERY = "query"
    DOCUMENT = "document"


@dataclass(frozen=True, slots=True)
class EmbedJob:
    """The unit of dispatch and retry, as `ScoreJob` is. Body of `POST /embed` on a worker.

    Attributes:
        id: the request's id with the chunk's number; the worker logs it, nothing else.
        timeout_s: how long the caller will wait; the worker gives the work up after that.
    """

    id: str
    texts: tuple[str, ...]
    timeout_s: float
    input_type: InputType = InputType.DOCUMENT

    def to_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "texts": list(self.texts),
            "timeout_s": self.timeout_s,
            "input_type": self.input_type.value,
        }

    @classmethod
    def from_json(cls, body: object) -> EmbedJob:
        """Read the body of `POST /embed`.

        Raises:
            InvalidValue: a field is missing or of the wrong type; names the field.
        """
        if not isinstance(body, dict):
            raise InvalidValue("the body must be a JSON object", param="body")
        texts = body.get("texts")
        if not isinstance(texts, list) or not texts:
            raise InvalidValue("texts must be a list of strings", param="texts")
        for index, text in enumerate(texts):
            if not isinstance(text, str):
                raise InvalidValue(f"texts[{index}] must be a string", param=f"texts[{index}]")
        timeout_s = body.get("timeout_s", 30.0)
        if not isinstance(timeout_s, int | float) or timeout_s <= 0:
            raise InvalidValue("timeout_s must be a number above 0", param="timeout_s")
        try:
            input_type = InputType(body.get("input_type", InputType.DOCUMENT.value))
        except ValueError:
            raise InvalidValue("input_type must be query or document", param="input_type") from None
        return cls(str(body.get("id", "-")), tuple(texts), float(timeout_s), input_type)


@dataclass(frozen=True, slots=True)
class Vector:
    """One text's embedding.

    Attributes:
        packed: float32 numbers, little-endian, one after the other; of length 1 together.
        tokens: tokens that the engine computed for it, prefix included.
        truncated: the text did not fit whole.
    """

    packed: bytes
    tokens: int
    truncated: bool = False

    @property
    def dimension(self) -> int:
        return len(self.packed) // _FLOAT_BYTES

    def values(self) -> list[float]:
        numbers = array("f", self.packed)
        if sys.byteorder == "big":
            numbers.byteswap()
        return numbers.tolist()

    def to_json(self) -> dict[str, Any]:
        body: dict[str, Any] = {
            "packed": base64.b64encode(self.packed).decode("ascii"),
            "tokens": self.tokens,
        }
        if self.truncated:
            body["truncated"] = True
        return body

    @classmethod
    def from_json(cls, body: dict[str, Any]) -> Vector:
        """Read one.

        Raises:
            ValueError, KeyError, TypeError: it is none, or it holds what is no number.
        """
        try:
            packed = base64.b64decode(body["packed"], validate=True)
        except binascii.Error as error:
            raise ValueError("packed is not base64") from error
        return cls.checked(
            packed, int(body["tokens"]), truncated=bool(body.get("truncated", False))
        )

    @classmethod
    def checked(cls, packed: bytes, tokens: int, *, truncated: bool = False) -> Vector:
        """One from elsewhere.

        Raises:
            ValueError: it is no list of float32 numbers, or an empty one.
        """
        if not packed or len(packed) % _FLOAT_BYTES:
            raise ValueError("a vector is not a list of float32")
        vector = cls(packed, tokens, truncated)
        if not all(map(math.isfinite, vector.values())):
            raise ValueError("a vector holds what is no number")
        return vector


_FLOAT_BYTES = 4


def pack(values: Sequence[float]) -> bytes:
    """Numbers as `Vector.packed` has them."""
    numbers = array("f", values)
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers.tobytes()


@dataclass(frozen=True, slots=True)
class Embedded:
    """The vectors of a job, one for each text, in order.

    Attributes:
        space: names the vector space: vectors of equal spaces can be compared.
    """

    vectors: tuple[Vector, ...]
    space: str


def cannot_embed(model: str) -> InvalidValue:
    """The refusal of an engine whose model makes no embeddings."""
    return InvalidValue(
        f"the model {model or 'that is served here'} makes no embeddings: it scores pairs of query "
        "and document; serve an embedding model, or ask another server for embeddings",
        param="model",
    )
