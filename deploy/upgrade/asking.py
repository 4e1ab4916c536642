"""Asking one worker for scores, past the gateway: no cache, no key, nobody's statistics."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Sequence

import requests

from deploy.evaluate.dataset import Topic
from deploy.evaluate.dialect import Ranked
from deploy.evaluate.endpoint import EndpointError
from deploy.evaluate.system import cut
from deploy.upgrade.parity import Answer
from service.request import Score, ScoreJob

TIMEOUT_S = 60.0


class AskError(Exception):
    """A worker did not answer, or not with scores; the message is for the terminal."""


class Worker:
    """One worker at its URL; implements `deploy.evaluate.system.System` under a name."""

    def __init__(self, name: str, url: str, model: str = "") -> None:
        self._name = name
        self._url = url
        self._model = model

    @property
    def name(self) -> str:
        return self._name

    def describe(self) -> dict[str, str]:
        return {"name": self._name, "url": self._url, "model": self._model}

    def ask(self, query: str, documents: Sequence[str]) -> Answer:
        """The logits, in the documents' order.

        Raises:
            AskError: no scores within a minute, or one that is no number.
        """
        began = time.perf_counter()
        scores = self._score(query, documents)
        took_s = time.perf_counter() - began
        return Answer(tuple(score.logit for score in scores), took_s)

    async def rank(self, topic: Topic) -> Ranked:
        """Order the topic's documents.

        Raises:
            EndpointError: it cannot.
        """
        scores: list[Score] = []
        try:
            for texts in cut([document.text for document in topic.documents]):
                scores += await asyncio.to_thread(self._score, topic.query.text, texts)
        except AskError as error:
            raise EndpointError(str(error)) from None
        logits = [score.logit for score in scores]
        return Ranked(
            scores=tuple(logits),
            order=tuple(sorted(range(len(logits)), key=lambda index: -logits[index])),
            tokens=sum(score.tokens for score in scores),
            truncated=sum(score.truncated for score in scores),
        )

    def _score(self, query: str, documents: Sequence[str]) -> list[Score]:
        # a canary's job: it counts as nobody's work
        job = ScoreJob("upgrade", query, tuple(documents), TIMEOUT_S, canary=True)
        try:
            answer = requests.post(f"{self._url}/score", json=job.to_json(), timeout=TIMEOUT_S)
            answer.raise_for_status()
            scores = [Score.from_json(one) for one in answer.json()["scores"]]
        except requests.RequestException as error:
            raise AskError(f"{self._name}: {_words(error)}") from None
        except (ValueError, KeyError, TypeError) as error:
            raise AskError(f"{self._name}: no scores in its answer: {error!r}") from None
        failed = [score.error for score in scores if score.error is not None]
        if failed:
            raise AskError(f"{self._name}: {failed[0]}")
        if len(scores) != len(documents) or not all(math.isfinite(one.logit) for one in scores):
            raise AskError(f"{self._name}: a score is missing, or is no number")
        return scores


def _words(error: requests.RequestException) -> str:
    if error.response is not None:
        return f"HTTP {error.response.status_code}"
    return type(error).__name__
