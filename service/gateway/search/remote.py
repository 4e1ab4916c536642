"""The two models of a search over HTTP: an embeddings endpoint and a rerank endpoint.

Blocks: for the command line, and for the gateway where another server embeds.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Any

import requests

from service.embedding import InputType, Vector, pack
from service.gateway.search.model import EmbeddedTexts, Judged

CONNECT_S = 3.0
RETRY_MOST_S = 30.0
"""A server that says `Retry-After` is believed up to here."""

TRIES = 6

RESTART_S = 2.0
"""The first pause for a server that answered before and is gone; each further one is twice as long,
so that `TRIES` of them outlast a restart: 2 + 4 + 8 + 16 + 30 s.
"""

_AGAIN = frozenset(
    {
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.BAD_GATEWAY,
        HTTPStatus.SERVICE_UNAVAILABLE,
        HTTPStatus.GATEWAY_TIMEOUT,
    }
)


class Unanswered(Exception):
    """The endpoint did not give what was asked for; the message is a sentence for the operator."""


class HttpModels:
    """Asks one server; an OpenAI-compatible one for embeddings, a Jina-compatible one for scores.

    Safe to use from several threads.
    """

    def __init__(
        self,
        url: str,
        *,
        key: str = "",
        model: str = "",
        timeout_s: float = 60.0,
        tries: int = TRIES,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Make one; nothing is sent yet.

        Args:
            url: base URL; `/v1/embeddings` and `/v1/rerank` are under it.
            key: bearer token; empty for none.
            model: sent with every request; empty: not sent.
            tries: how often a server is asked that is busy, or that answered before and is gone.
        """
        self._url = url.rstrip("/").removesuffix("/v1")
        self._key = key
        self._model = model
        self._timeout_s = timeout_s
        self._tries = tries
        self._sleep = sleep
        self._has_answered = False

    def embed(self, texts: Sequence[str], input_type: InputType) -> EmbeddedTexts:
        """Embed texts.

        Raises:
            Unanswered: no answer, a refusal, or an answer that is none.
        """
        body: dict[str, object] = {
            "input": list(texts),
            "encoding_format": "base64",
            "input_type": input_type.value,
        }
        answer = self._post("/v1/embeddings", body)
        try:
            vectors = tuple(_vector(item["embedding"]) for item in answer["data"])
            model = str(answer["model"])
            space = str(answer.get("fingerprint") or model)
        except (KeyError, TypeError, ValueError) as error:
            raise Unanswered(f"{self._url}/v1/embeddings gives no embeddings: {error}") from error
        if len(vectors) != len(texts):
            raise Unanswered(f"{self._url}: {len(vectors)} vectors for {len(texts)} texts")
        return EmbeddedTexts(vectors, space, model)

    def rerank(self, query: str, texts: Sequence[str], instruction: str | None = None) -> Judged:
        """Score texts against a query.

        Raises:
            Unanswered: as in `embed`.
        """
        body: dict[str, object] = {
            "query": query,
            "documents": list(texts),
            "return_documents": False,
        }
        if instruction:
            body["instruction"] = instruction
        answer = self._post("/v1/rerank", body)
        try:
            ranked = tuple(
                (int(item["index"]), float(item["relevance_score"])) for item in answer["results"]
            )
            model = str(answer.get("model") or "")
        except (KeyError, TypeError, ValueError) as error:
            raise Unanswered(f"{self._url}/v1/rerank gives no scores: {error}") from error
        if sorted(index for index, _ in ranked) != list(range(len(texts))):
            raise Unanswered(f"{self._url}: not every document has one score")
        return Judged(ranked, model)

    def _post(self, path: str, body: dict[str, object]) -> dict[str, Any]:
        if self._model:
            body["model"] = self._model
        headers = {"Authorization": f"Bearer {self._key}"} if self._key else {}
        pause_s = RESTART_S
        for left in reversed(range(self._tries)):
            try:
                response = requests.post(
                    self._url + path,
                    json=body,
                    headers=headers,
                    timeout=(CONNECT_S, self._timeout_s),
                    allow_redirects=False,
                )
            except requests.ConnectionError as error:
                if not left or not self._has_answered:
                    raise Unanswered(
                        f"nothing answers at {self._url}; is it running? (rankguard up)"
                    ) from error
                self._sleep(pause_s)
                pause_s = min(RETRY_MOST_S, pause_s * 2)
                continue
            except requests.RequestException as error:
                raise Unanswered(f"{self._url} does not answer in time") from error
            self._has_answered = True
            if response.status_code not in _AGAIN or not left:
                return _content(response)
            self._sleep(_pause(response))
        raise AssertionError  # pragma: no cover - the last try returns or raises


def _pause(response: requests.Response) -> float:
    try:
        return min(RETRY_MOST_S, max(0.1, float(response.headers.get("Retry-After", "1"))))
    except ValueError:
        return 1.0


def _content(response: requests.Response) -> dict[str, Any]:
    try:
        body = response.json()
    except ValueError:
        body = None
    if response.status_code == HTTPStatus.OK and isinstance(body, dict):
        return body
    said = body.get("error") if isinstance(body, dict) else None
    words = said.get("message") if isinstance(said, dict) else said
    raise Unanswered(f"{response.status_code}: {str(words or response.reason)[:500]}")


def _vector(given: object) -> Vector:
    """A vector of an answer, in base64 or, from servers that know no base64, as numbers."""
    if isinstance(given, str):
        packed = base64.b64decode(given, validate=True)
    elif isinstance(given, list):
        packed = pack(given)
    else:
        raise TypeError("an embedding is neither base64 nor a list")
    return Vector.checked(packed, 0)
