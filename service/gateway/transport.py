"""One chunk to one replica, over HTTP as a rule, and what can go wrong with that."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Protocol

from pydantic_core import from_json, to_json

from service.embedding import EmbedJob, Vector
from service.errors import InvalidValue
from service.gateway.ranking import scored
from service.gateway.routing import Failure
from service.request import Score, ScoreJob

SLACK_S = 0.05
"""A worker that gives up in time may say so this much after the deadline."""


_NO_ANSWER = (ValueError, LookupError, TypeError, AttributeError, OverflowError)
"""What reading an answer raises when it is none, infinite counts and empty spans included."""


class ReplicaFailed(Exception):
    """The chunk has no answer from this replica; another one may have it."""

    def __init__(self, failure: Failure, message: str) -> None:
        super().__init__(message)
        self.failure = failure
        self.message = message


@dataclass(frozen=True, slots=True)
class Answer:
    """A worker's answer: one score per document, and where the time went in seconds."""

    scores: tuple[Score, ...]
    queue_s: float
    score_s: float


@dataclass(frozen=True, slots=True)
class EmbedAnswer:
    """The same for texts that were embedded: one vector per text, and the space they are in."""

    vectors: tuple[Vector, ...]
    space: str
    queue_s: float
    score_s: float


class Wire(Protocol):
    """How bytes get to a replica and back; made and closed inside the gateway's event loop."""

    async def post(self, url: str, path: str, body: bytes, timeout_s: float) -> tuple[int, bytes]:
        """Status and body of the replica's answer; cancelling gives the work up.

        Args:
            url: where the replica is, from its manifest.

        Raises:
            ReplicaFailed: no answer.
        """
        ...

    async def refuses(self, url: str) -> bool:
        """Whether nobody is there. Slow or busy is not refusing: that is not for us to judge."""
        ...

    async def close(self) -> None: ...


class Transport:
    """Chunks over a wire; to be made inside the event loop."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    async def close(self) -> None:
        await self._wire.close()

    async def refuses(self, url: str) -> bool:
        """Whether nobody listens at a replica's base URL."""
        return await self._wire.refuses(url)

    async def score(self, url: str, job: ScoreJob) -> Answer:
        """Send the chunk and wait for its scores; cancelling closes the connection.

        Args:
            url: the worker's base URL, from its manifest.

        Raises:
            ReplicaFailed: no answer, or one that says the worker cannot.
            InvalidValue: the worker refuses the request itself; `param` counts within the chunk.
        """
        began = time.monotonic()
        status, body = await self._wire.post(url, "/score", to_json(job.to_json()), job.timeout_s)
        if status == HTTPStatus.OK:
            return read_answer(body, len(job.documents), time.monotonic() - began)
        raise read_refusal(status, body)

    async def embed(self, url: str, job: EmbedJob) -> EmbedAnswer:
        """The same for texts to embed.

        Raises:
            ReplicaFailed, InvalidValue: as in `score`; `param` is `texts[3]`.
        """
        began = time.monotonic()
        status, body = await self._wire.post(url, "/embed", to_json(job.to_json()), job.timeout_s)
        if status == HTTPStatus.OK:
            return read_vectors(body, len(job.texts), time.monotonic() - began)
        raise read_refusal(status, body)


def read_answer(body: bytes, documents: int, seconds: float) -> Answer:
    """The scores in a worker's answer.

    Args:
        seconds: from sending to the answer; what the engine did not take of it was queueing.

    Raises:
        ReplicaFailed: it is not an answer for so many documents.
    """
    try:
        content = from_json(body)
        scores = tuple(scored(Score.from_json(one)) for one in content["scores"])
        queue_s, score_s = _times(content, seconds)
    except _NO_ANSWER as error:
        raise ReplicaFailed(Failure.ERROR, "its answer is not one") from error
    if len(scores) != documents:
        raise ReplicaFailed(
            Failure.ERROR, f"it answered {len(scores)} scores for {documents} documents"
        )
    return Answer(scores, queue_s, score_s)


def read_vectors(body: bytes, texts: int, seconds: float) -> EmbedAnswer:
    """The vectors in a worker's answer; arguments and errors as in `read_answer`."""
    try:
        content = from_json(body)
        vectors = tuple(map(Vector.from_json, content["vectors"]))
        space = str(content["space"])
        queue_s, score_s = _times(content, seconds)
    except _NO_ANSWER as error:
        raise ReplicaFailed(Failure.ERROR, "its answer is not one") from error
    if len(vectors) != texts:
        raise ReplicaFailed(Failure.ERROR, f"it answered {len(vectors)} vectors for {texts} texts")
    if len({one.dimension for one in vectors}) > 1:
        raise ReplicaFailed(Failure.ERROR, "its vectors are not of one length")
    return EmbedAnswer(vectors, space, queue_s, score_s)


def _times(content: dict[str, Any], seconds: float) -> tuple[float, float]:
    score_s = float(content["score_s"])
    queue_s = float(content.get("queue_s", max(0.0, seconds - score_s)))
    if not (math.isfinite(queue_s) and math.isfinite(score_s)):
        raise ReplicaFailed(Failure.ERROR, "its timings are no numbers")
    return queue_s, score_s


def read_refusal(status: int, body: bytes) -> ReplicaFailed | InvalidValue:
    """What an answer other than 200 means for the chunk."""
    message, param = _error_of(body)
    if status in (HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.BAD_REQUEST):
        return InvalidValue(message or "the engine refuses the request", param=param)
    if status in (HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.TOO_MANY_REQUESTS):
        return ReplicaFailed(Failure.BUSY, message or "it takes no work now")
    if status == HTTPStatus.GATEWAY_TIMEOUT:
        return ReplicaFailed(Failure.TIMEOUT, message or "it gave up in time")
    return ReplicaFailed(Failure.ERROR, message or f"it answered {status}")


def _error_of(body: bytes) -> tuple[str, str | None]:
    try:
        error = from_json(body)["error"]
        message, param = error["message"], error.get("param")
    except _NO_ANSWER:
        return "", None
    return str(message)[:500], param if isinstance(param, str) else None
