"""An existing rerank server as a replica: vLLM, TEI, or anything of Cohere's shape."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any

import aiohttp

from service.errors import EngineFailed, InvalidValue
from service.request import Score, ScoreJob
from service.settings import RemoteSettings
from service.worker.engine import EngineInfo, EngineStartError, LoadStep, dies_with_the_worker
from service.worker.engines.remote_dialect import BadAnswer, Cohere, Dialect, Tei, Vllm, same_logits

_CONNECTIONS = 64
_ANSWER_BYTES = 64 << 20
_WORDS = 200
_REFUSALS = 8  # refused documents in one job that are looked for
_START_S = 10.0
_UNKNOWN_TOKENS = 8192  # what a server that does not tell its longest input is taken to accept
_REFUSED = {
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.UNPROCESSABLE_ENTITY,
}
_MISCONFIGURED = {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND}

_PROBE = ("What is the capital of France?", ("Paris is its capital.", "Bananas are yellow."))


class _Refusal(Exception):
    """The server refuses this input; another input may be accepted."""


class _Status(Exception):
    def __init__(self, status: int) -> None:
        super().__init__(f"the remote server answered {status}")
        self.status = status


class RemoteEngine:
    """Implements `Engine`. A step is an answer: what the server does inside cannot be seen."""

    def __init__(self, settings: RemoteSettings, *, model: str = "", served_name: str = "") -> None:
        """Make one; nothing is sent before `start`.

        Args:
            settings: where it is and what it speaks.
            model: the name to ask for, where the server does not tell its own.
            served_name: name that clients see.
        """
        self._settings = settings
        self._dialect: Dialect = {"vllm": Vllm, "tei": Tei, "cohere": Cohere}[settings.dialect]()
        self._model = model
        self._served_name = served_name
        self._session: aiohttp.ClientSession | None = None
        self._steps = 0

    async def start(self, report: Callable[[LoadStep], None]) -> EngineInfo:
        report(LoadStep("asking the remote server"))
        if not self._settings.url.startswith(("http://", "https://")):
            raise EngineStartError(
                "[engine.remote] url must be an http or https URL", permanent=True
            )
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=_CONNECTIONS),
            headers=_authorization(self._settings.api_key_file),
        )
        try:
            described = await asyncio.wait_for(self._describe(), _START_S)
            await asyncio.wait_for(self._probe(), _START_S)
        except _Status as error:
            raise EngineStartError(str(error), permanent=error.status in _MISCONFIGURED) from error
        except (EngineFailed, _Refusal) as error:
            raise EngineStartError(str(error), permanent=False) from error
        except (asyncio.TimeoutError, TimeoutError):
            raise EngineStartError(
                f"the remote server did not answer within {_START_S:g} s", permanent=False
            ) from None
        return described

    async def _describe(self) -> EngineInfo:
        path = self._dialect.description_path
        described = self._dialect.describe(await self._get(path) if path else None)
        self._model = described.model or self._model
        identity = f"remote\0{self._settings.url}\0{self._settings.dialect}\0{self._model}"
        return EngineInfo(
            kind="remote",
            model=self._served_name or self._model or "remote",
            max_tokens=described.max_tokens or _UNKNOWN_TOKENS,
            fingerprint=hashlib.sha256(identity.encode()).hexdigest()[:32],
        )

    async def _probe(self) -> None:
        """Score two documents; with vLLM, find out whether it sends logits when asked."""
        query, documents = _PROBE
        job = ScoreJob(id="probe", query=query, documents=documents, timeout_s=_START_S)
        plain = await self._ask(job, documents)
        if not isinstance(self._dialect, Vllm):
            return
        self._dialect = Vllm(raw=True)
        try:
            raw = await self._ask(job, documents)
        except _Refusal:
            raw = []
        # A server that does not know the field sends its probabilities again, and an embedding
        # model has no logits at all: then probabilities are what there is.
        self._dialect = Vllm(raw=same_logits(plain, raw))

    async def score(self, job: ScoreJob) -> Sequence[Score]:
        refusals = _REFUSALS if len(job.documents) > 1 else 0
        try:
            scores, _ = await self._score(job, 0, len(job.documents), refusals)
        except _Status as error:
            raise EngineFailed(str(error)) from error
        return scores

    async def _score(
        self, job: ScoreJob, first: int, last: int, refusals: int
    ) -> tuple[list[Score], int]:
        """Ask for a part of the documents; when the server refuses, find those that it refuses.

        Such servers fail a whole request for one bad document and do not say which.

        Returns:
            The scores, and how many more refused documents will be put up with.

        Raises:
            InvalidValue: more documents than that are refused; names one of them.
        """
        try:
            return await self._ask(job, job.documents[first:last]), refusals
        except _Refusal as refusal:
            if last - first == 1 and refusals:
                return [Score(logit=0.0, tokens=0, error=str(refusal))], refusals - 1
            if last - first == 1:
                raise InvalidValue(str(refusal), param=f"documents[{first}]") from refusal
        middle = (first + last) // 2
        head, refusals = await self._score(job, first, middle, refusals)
        tail, refusals = await self._score(job, middle, last, refusals)
        return head + tail, refusals

    async def _ask(self, job: ScoreJob, documents: Sequence[str]) -> list[Score]:
        body = self._dialect.body(job, documents, self._model)
        timeout_s = min(job.timeout_s, self._settings.timeout_s)
        answer = await self._call("POST", self._dialect.path, body, timeout_s)
        try:
            scores = self._dialect.scores(answer, len(documents))
        except BadAnswer as error:
            raise EngineFailed(f"the remote server: {error}") from error
        self._steps += 1
        return scores

    async def _get(self, path: str) -> Any:
        return await self._call("GET", path, None, _START_S)

    async def _call(self, method: str, path: str, body: object, timeout_s: float) -> Any:
        """One exchange.

        Raises:
            _Refusal, _Status: by the answer's status.
            EngineFailed: no answer, or not JSON.
        """
        if self._session is None:
            raise EngineFailed("the engine is not started")
        url = self._settings.url.rstrip("/") + path
        try:
            async with self._session.request(
                method,
                url,
                json=body,
                timeout=aiohttp.ClientTimeout(total=timeout_s),
                allow_redirects=False,  # a redirect would carry the key elsewhere
            ) as response:
                raw = await _read(response)
                if response.status in _REFUSED:
                    raise _Refusal(f"the remote server refuses it: {_words(raw)}")
                if response.status != HTTPStatus.OK:
                    raise _Status(response.status)
        except (asyncio.TimeoutError, TimeoutError):
            raise EngineFailed(f"the remote server did not answer within {timeout_s:g} s") from None
        except (aiohttp.ClientError, OSError) as error:
            raise EngineFailed(
                f"no answer from the remote server: {type(error).__name__}"
            ) from error
        try:
            return json.loads(raw)
        except ValueError as error:
            raise EngineFailed("the remote server's answer is not JSON") from error

    def steps(self) -> int:
        return self._steps

    def prefix_cache(self) -> tuple[int, int]:
        return 0, 0

    async def died(self) -> str:
        """A server that is gone may come back, and this process has lost nothing."""
        return await dies_with_the_worker()

    async def close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()


async def _read(response: aiohttp.ClientResponse) -> bytes:
    """The whole body.

    Raises:
        EngineFailed: it is larger than any rerank answer.
    """
    parts: list[bytes] = []
    size = 0
    async for part in response.content.iter_chunked(1 << 16):
        size += len(part)
        if size > _ANSWER_BYTES:
            raise EngineFailed("the remote server's answer is too large")
        parts.append(part)
    return b"".join(parts)


def _words(raw: bytes) -> str:
    """What an error answer says, at most a line of it."""
    try:
        body = json.loads(raw)
    except ValueError:
        body = None
    found: object = None
    if isinstance(body, dict):
        error = body.get("error", body.get("message", body.get("detail")))
        found = error.get("message") if isinstance(error, dict) else error
    text = found if isinstance(found, str) else raw.decode("utf-8", "replace")
    return " ".join(text.split())[:_WORDS]


def _authorization(key_file: Path | None) -> dict[str, str]:
    """The header that carries the key.

    Raises:
        EngineStartError: the file cannot be read; permanent.
    """
    if key_file is None:
        return {}
    try:
        key = key_file.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise EngineStartError(
            f"[engine.remote] api_key_file: {error.strerror} ({key_file})", permanent=True
        ) from error
    return {"Authorization": f"Bearer {key}"}
