"""An engine that fails on demand: for tests, `rankguard chaos` and the fault suite.

Its scores are made from the words that query and document share, so that a canary in one script
ranks; it is no model. The script file is read again at every job, so that a test can change it.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import math
import os
import re
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum

from service.embedding import Embedded, EmbedJob, Vector, pack
from service.errors import EngineFailed
from service.request import Score, ScoreJob
from service.settings import ScriptedSettings
from service.worker.engine import EngineInfo, EngineStartError, LoadStep, dies_with_the_worker

_WORD = re.compile(r"\w+")
_STEP_S = 0.05
_WIDTH = 32


class Fault(str, Enum):
    """What the script may ask for."""

    NONE = "none"
    HANG = "hang"
    SLOW = "slow"
    WRONG = "wrong"
    CONSTANT = "constant"
    NAN = "nan"
    ERROR = "error"
    EXIT = "exit"


@dataclass(frozen=True, slots=True)
class Script:
    """The file's content: `{"fault": "slow", "document_s": 0.1, "poison": "text", "pid": 42}`.

    Attributes:
        pid: the one process that it is meant for; None: every one that reads the file.
        document_s: seconds one document takes; None: what the settings say.
        poison: a document that contains this text kills the process, as a bad input would.
        start_error: fail to start with this message.
        unscorable: a document that contains this text scores NaN, and no other does.
    """

    fault: Fault = Fault.NONE
    document_s: float | None = None
    poison: str = ""
    start_error: str = ""
    unscorable: str = ""
    pid: int | None = None


def word_score(query: str, document: str) -> float:
    """A logit from -4 to 4: the share of the query's words that the document has."""
    wanted = set(_WORD.findall(query.casefold()))
    found = wanted & set(_WORD.findall(document.casefold()))
    return 8.0 * len(found) / max(1, len(wanted)) - 4.0


def scripted_logit(query: str, document: str, version: str = "1") -> float:
    """What a healthy engine of this version answers."""
    # a little of the text's own, so that ties are rare and every replica of a version agrees
    text = "\0".join(([] if version == "1" else [version]) + [query, document])
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
    return word_score(query, document) + math.ldexp(int.from_bytes(digest[:2], "big"), -20)


def word_vector(text: str) -> list[float]:
    """A bag of words, hashed into a few numbers, of length 1."""
    counts = [0.0] * _WIDTH
    for word in _WORD.findall(text.casefold()) or [""]:
        counts[hashlib.sha256(word.encode("utf-8", "surrogatepass")).digest()[0] % _WIDTH] += 1.0
    length = math.sqrt(sum(count * count for count in counts))
    return [count / length for count in counts]


class ScriptedEngine:
    """Implements `Engine`; one document at a time, in order, as one device would."""

    def __init__(self, settings: ScriptedSettings, name: str = "scripted") -> None:
        self._settings = settings
        self._name = name or "scripted"
        self._steps = 0
        self._device = asyncio.Semaphore(1)

    async def start(self, report: Callable[[LoadStep], None]) -> EngineInfo:
        start_error = self._settings.start_error or self._read_script().start_error
        if start_error:
            raise EngineStartError(start_error, permanent=False)
        passed = 0.0
        while passed < self._settings.load_s:
            report(LoadStep("loading", passed / self._settings.load_s))
            pause = min(_STEP_S, self._settings.load_s - passed)
            await asyncio.sleep(pause)
            passed += pause
        return EngineInfo(
            kind="scripted",
            model=self._name,
            max_tokens=8192,
            fingerprint=f"scripted-{self._settings.version}",
            notice="This is the scripted engine: for tests only, its scores mean nothing.",
        )

    async def score(self, job: ScoreJob) -> Sequence[Score]:
        scores = []
        for document in job.documents:
            async with self._device:
                scores.append(await self._score_one(job.query, document))
        return scores

    async def embed(self, job: EmbedJob) -> Embedded:
        vectors = []
        for text in job.texts:
            async with self._device:
                script = await self._obeyed(text)
            values = [math.nan] if script.fault is Fault.NAN else word_vector(text)
            vectors.append(Vector(pack(values), len(_WORD.findall(text))))
        return Embedded(tuple(vectors), "scripted-1")

    def steps(self) -> int:
        return self._steps

    def prefix_cache(self) -> tuple[int, int]:
        return 0, 0

    async def died(self) -> str:
        return await dies_with_the_worker()

    async def close(self) -> None:
        return

    async def _obeyed(self, text: str) -> Script:
        """Do to this process and its time what the script says about the text."""
        script = self._read_script()
        if script.poison and script.poison in text:
            os.kill(os.getpid(), signal.SIGKILL)
        if script.fault is Fault.HANG:
            await asyncio.get_running_loop().create_future()
        if script.fault is Fault.EXIT:
            os._exit(1)
        if script.fault is Fault.ERROR:
            raise EngineFailed("the script says that the engine fails")
        pause = self._settings.document_s if script.document_s is None else script.document_s
        if script.fault is Fault.SLOW and script.document_s is None:
            pause = max(pause * 10, 0.2)
        if pause:
            await asyncio.sleep(pause)
        self._steps += 1
        return script

    async def _score_one(self, query: str, document: str) -> Score:
        script = await self._obeyed(document)
        tokens = len(_WORD.findall(query)) + len(_WORD.findall(document))
        is_unscorable = bool(script.unscorable) and script.unscorable in document
        if script.fault is Fault.NAN or is_unscorable:
            return Score(logit=0.0, tokens=tokens, error="the model returned NaN")
        return Score(logit=self._answer(script.fault, query, document), tokens=tokens)

    def _answer(self, fault: Fault, query: str, document: str) -> float:
        if fault is Fault.CONSTANT:
            return 0.0
        if fault is Fault.WRONG:
            return -word_score(query, document)
        return scripted_logit(query, document, self._settings.version)

    def _read_script(self) -> Script:
        path = self._settings.script
        if path is None:
            return Script()
        try:
            body = json.loads(path.read_text(encoding="utf-8"))
            seconds = body.get("document_s")
            script = Script(
                fault=Fault(body.get("fault", "none")),
                document_s=None if seconds is None else float(seconds),
                poison=str(body.get("poison", "")),
                start_error=str(body.get("start_error", "")),
                unscorable=str(body.get("unscorable", "")),
                pid=body.get("pid"),
            )
        except (OSError, ValueError):
            return Script()
        return script if script.pid in (None, os.getpid()) else Script()
