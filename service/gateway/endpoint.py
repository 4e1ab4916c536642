"""One scoring request from bytes to bytes, whatever its dialect."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive

from service.errors import DeadlineExceeded, InvalidValue, NoCapacity
from service.gateway.admission import Admission
from service.gateway.auth import Keys
from service.gateway.envelope import Note, note_of
from service.gateway.intake import Intake
from service.gateway.schema import body as json_body
from service.gateway.schema import call as calls
from service.gateway.schema.body import Body
from service.gateway.schema.call import Call, Dialect, Limits
from service.gateway.scoring import Scored, Scoring
from service.metrics import GatewayMetrics
from service.request import RerankRequest

QUICK_S = 0.02
"""Before this nobody looks whether the client is still there: most answers are done by then."""

VALUES_PER_DOCUMENT = 100
"""In a body, where more documents are allowed than by default."""

LOGGED_CHARACTERS = 200
"""Of each text, where texts are logged at all."""

LATE_S = 1.0
"""A request that is this much past its deadline is ended from outside."""


_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose request it is, and until when its answer is of use.

    Attributes:
        key: the name of its API key; empty where there are no keys.
        began: `time.monotonic()` seconds, as `deadline` is.
    """

    receive: Receive
    note: Note
    key: str
    began: float
    deadline: float


Work = Callable[[Caller, Body], Awaitable[Response]]

Choose = Callable[[Mapping[str, object]], Dialect]
"""The dialect that a body is written in."""


class Endpoint:
    """What all scoring routes share."""

    def __init__(
        self,
        scoring: Scoring,
        admission: Admission,
        keys: Keys,
        intake: Intake,
        metrics: GatewayMetrics,
        *,
        limits: Limits,
        timeout_s: float,
        instructions: Mapping[str, str],
        log_texts: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._scoring = scoring
        self._admission = admission
        self._keys = keys
        self._intake = intake
        self._metrics = metrics
        self._limits = limits
        self._max_values = max(json_body.MAX_VALUES, VALUES_PER_DOCUMENT * limits.max_documents)
        self._timeout_s = timeout_s
        self._instructions = dict(instructions)
        self._log_texts = log_texts
        self._clock = clock
        self.draining = False

    @property
    def in_flight(self) -> int:
        return self._intake.requests

    async def handle(self, request: Request, choose: Choose) -> Response:
        """Answer a scoring request.

        Args:
            choose: the dialect that a body on this route is written in.

        Raises:
            ServiceError: turned into an answer by the app.
            ClientDisconnect: nobody is there to answer.
        """
        return await self.serve(request, lambda caller, body: self._rerank(caller, body, choose))

    async def serve(self, request: Request, work: Work) -> Response:
        """Answer any request that costs tokens: key, body and limits are the same for all.

        Args:
            work: makes the answer of a body that was read.

        Raises:
            ServiceError, ClientDisconnect: as in `handle`.
        """
        began = self._clock()
        note = note_of(request.scope)
        key = self._keys.name_of(request.headers.get("authorization"))
        if key:
            note.fields["key"] = key
        try:
            if self.draining:
                raise NoCapacity("this gateway is shutting down", retry_after_s=1)
            json_body.check_content_type(
                request.headers.get("content-type"), request.headers.get("content-encoding")
            )
            async with self._intake.body(request.headers, request.receive) as content:
                parsed = json_body.parse(content, self._max_values)
                del content  # the texts are held once, not twice, while they wait
                caller = Caller(request.receive, note, key, began, began + self._timeout_s)
                return await work(caller, parsed)
        finally:
            self._say_limits(note, key)

    async def _rerank(self, caller: Caller, body: Body, choose: Choose) -> Response:
        call = choose(body.fields).read(body.fields, self._limits)
        scored = await self._score(caller, call)
        warnings = (*body.warnings, *call.common.warnings)
        warnings += calls.notes_after(call, scored)
        if warnings:
            caller.note.header("x-rankguard-warnings", str(len(warnings)))
        self._count(scored, caller.note, self._clock() - caller.began)
        answer = call.answer(scored, name=caller.note.request_id, warnings=warnings)
        return Response(answer, HTTPStatus.OK, media_type="application/json")

    async def _score(self, caller: Caller, call: Call) -> list[Scored]:
        note = caller.note
        instruction = self.instruction(call.common.instruction)
        requests = [
            RerankRequest(
                id=note.request_id,
                query=question.query,
                documents=question.documents,
                deadline=caller.deadline,
                instruction=instruction,
                max_tokens_per_doc=call.common.max_tokens_per_doc,
            )
            for question in call.questions
        ]
        note.fields["documents"] = sum(len(one.documents) for one in requests)
        if self._log_texts:
            note.fields["texts"] = [
                [
                    one.query[:LOGGED_CHARACTERS],
                    *(text[:LOGGED_CHARACTERS] for text in one.documents),
                ]
                for one in requests
            ]
        try:
            return await self.within(caller, self._scoring.score_all(requests, key=caller.key))
        except InvalidValue as error:
            raise calls.in_words_of(call.questions, error) from error

    async def within(self, caller: Caller, doing: Coroutine[Any, Any, _T]) -> _T:
        """What the work gives; ends it when the caller goes away or its time is long over.

        Raises:
            ClientDisconnect, DeadlineExceeded.
        """
        work = asyncio.ensure_future(doing)
        try:
            await self._wait(work, caller)
            return work.result()
        finally:
            work.cancel()

    async def _wait(self, work: asyncio.Future[Any], caller: Caller) -> None:
        await asyncio.wait((work,), timeout=QUICK_S)
        if work.done():
            return
        gone: asyncio.Future[object] = asyncio.ensure_future(caller.receive())
        either: set[asyncio.Future[Any]] = {work, gone}
        try:
            await asyncio.wait(
                either,
                timeout=caller.deadline + LATE_S - self._clock(),
                return_when=asyncio.FIRST_COMPLETED,
            )
            if work.done():
                return
            if gone.done():
                raise ClientDisconnect
            raise DeadlineExceeded(f"not done within {self._timeout_s:g} s", retry_after_s=1)
        finally:
            gone.cancel()

    def instruction(self, asked: str | None) -> str | None:
        """The instruction that was asked for, by its name or in words; None for the engine's own.

        Raises:
            InvalidValue: there is none of that name.
        """
        if asked is None or not asked.startswith("@"):
            return asked or None
        named = self._instructions.get(asked[1:])
        if named is None:
            raise InvalidValue(
                "instruction names none that is configured; see [service] instructions",
                param="instruction",
            )
        return named

    def _say_limits(self, note: Note, key: str) -> None:
        limit = self._admission.limit(key)
        note.header("x-ratelimit-limit", str(limit.limit))
        note.header("x-ratelimit-remaining", str(limit.remaining))
        note.header("x-ratelimit-reset", str(round(limit.reset_s)))

    def _count(self, scored: list[Scored], note: Note, seconds: float) -> None:
        queue_s = max(one.queue_s for one in scored)
        score_s = max(one.score_s for one in scored)
        replicas = sorted({replica for one in scored for replica in one.replicas})
        note.header(
            "server-timing",
            f"queue;dur={queue_s * 1000:.2f}, score;dur={score_s * 1000:.2f}, "
            f'total;dur={seconds * 1000:.2f}, replicas;desc="{" ".join(replicas)}"',
        )
        tokens = sum(one.tokens for one in scored)
        note.fields.update(
            tokens=tokens,
            queue_ms=round(queue_s * 1000, 2),
            score_ms=round(score_s * 1000, 2),
            replicas=replicas,
        )
        self._metrics.queue_seconds.observe(queue_s)
        self._metrics.score_seconds.observe(score_s)
        self._scoring.count(scored)
