"""The engine that needs no GPU and no model hub: multilingual-e5-small in ONNX Runtime.

A bi-encoder: query and document are embedded apart, and their cosine becomes a logit. It takes
no instruction: the model was trained with the two prefixes only.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from service.embedding import Embedded, EmbedJob, InputType, Vector
from service.errors import EngineFailed
from service.request import Score, ScoreJob
from service.settings import EmbeddedSettings
from service.worker.engine import EngineInfo, EngineStartError, LoadStep
from service.worker.engines.e5 import calibration, place, store, vocabulary
from service.worker.engines.e5.cache import EmbeddingCache, key_of
from service.worker.engines.e5.folder import write_hf_folder
from service.worker.engines.e5.forward import Embeddings, Forward
from service.worker.engines.e5.pool import Pool
from service.worker.engines.e5.store import prepare
from service.worker.engines.e5.vocabulary import Ids, Text, Vocabulary

__all__ = ["EmbeddedEngine", "prepare", "write_hf_folder"]

MODEL = place.NAME
WIDTH = 384
NOTICE = (
    "This is the embedded model multilingual-e5-small on the CPU; its scores are not those of "
    'Qwen3-Reranker. To switch: install the extra "vllm" and set [engine] kind = "vllm", '
    'model = "Qwen/Qwen3-Reranker-0.6B".'
)
CACHED_EMBEDDINGS = 16_384
"""25 MB of embeddings, queries' and documents'."""

_SLICE_CHARS = 200_000  # read by the tokenizer at once: some 0.1 s that cannot be interrupted


@dataclass(frozen=True, slots=True)
class _Loaded:
    vocabulary: Vocabulary
    pool: Pool
    readers: ThreadPoolExecutor


class EmbeddedEngine:
    """Implements `service.worker.engine.Engine` and `Embedder`."""

    def __init__(self, settings: EmbeddedSettings, served_name: str = "") -> None:
        self._settings = settings
        self._name = served_name or MODEL
        self._loaded: _Loaded | None = None
        self._closed = False
        self._died = asyncio.Event()
        self._cause = ""
        self._cache = EmbeddingCache(CACHED_EMBEDDINGS)
        self._space = ""

    async def start(self, report: Callable[[LoadStep], None]) -> EngineInfo:
        """Prepare the model when it is not in the cache yet, load it, run one pass.

        Raises:
            EngineStartError: see `service.worker.engines.e5.store.prepare`.
        """
        folder = await asyncio.to_thread(prepare, self._settings, report)
        report(LoadStep("loading the model"))
        words, forward, digest = await asyncio.gather(
            asyncio.to_thread(Vocabulary, folder / vocabulary.FILE),
            asyncio.to_thread(_warm, folder),
            asyncio.to_thread(store.verify, folder),
        )
        if self._closed:
            raise EngineStartError("closed while it started", permanent=False)
        self._space = f"{MODEL}:{place.FORMAT}:{digest}"
        threads = self._settings.threads or usable_cores()
        loop = asyncio.get_running_loop()
        self._loaded = _Loaded(
            words,
            Pool(
                forward.embed,
                WIDTH,
                threads,
                dead=lambda cause: _tell(loop, self._set_dead, cause),
            ),
            ThreadPoolExecutor(2, thread_name_prefix="e5-reader"),
        )
        return EngineInfo(
            kind="embedded",
            model=self._name,
            max_tokens=vocabulary.MAX_DOCUMENT_TOKENS,
            fingerprint=f"{self._space}:{calibration.NAME}",
            notice=NOTICE,
        )

    async def score(self, job: ScoreJob) -> Sequence[Score]:
        """Score each document by its best window.

        `Score.tokens` counts the document's windows with their prefix, also those whose embedding
        was at hand; the query, which is embedded once for all, is not counted.
        """
        loaded = self._require()
        loop = asyncio.get_running_loop()
        query = await loop.run_in_executor(loaded.readers, loaded.vocabulary.query, job.query)
        distinct = list(dict.fromkeys(job.documents))
        texts: list[Text] = []
        for part in _slices(distinct):
            texts += await loop.run_in_executor(
                loaded.readers, loaded.vocabulary.passages, part, job.max_tokens_per_doc
            )
        windows = [query.windows[0], *(window for text in texts for window in text.windows)]
        embeddings = await self._embed(loaded.pool, windows, fresh=job.canary)
        scores = _scores(texts, embeddings, cut=query.truncated)
        by_text = dict(zip(distinct, scores, strict=True))
        return [by_text[document] for document in job.documents]

    async def embed(self, job: EmbedJob) -> Embedded:
        """Embed each text by its first 512 tokens; what lies behind them is not read."""
        loaded = self._require()
        loop = asyncio.get_running_loop()
        words = loaded.vocabulary
        read = words.queries if job.input_type is InputType.QUERY else words.beginnings
        texts: list[Text] = []
        for part in _slices(job.texts):
            texts += await loop.run_in_executor(loaded.readers, read, part)
        windows = [text.windows[0] for text in texts]
        embeddings = await self._embed(loaded.pool, windows, fresh=False)
        for index, embedding in enumerate(embeddings):
            if not np.isfinite(embedding).all():
                raise EngineFailed(f"the model's result for texts[{index}] is not a number")
        rows = embeddings.astype("<f4")
        vectors = [
            Vector(row.tobytes(), len(window), text.truncated)
            for row, window, text in zip(rows, windows, texts, strict=True)
        ]
        return Embedded(tuple(vectors), self._space)

    def steps(self) -> int:
        """Forward passes done since the start."""
        return 0 if self._loaded is None else self._loaded.pool.steps()

    def prefix_cache(self) -> tuple[int, int]:
        return 0, 0

    async def died(self) -> str:
        """Wait until forward passes fail again and again; return the cause."""
        await self._died.wait()
        return self._cause

    async def close(self) -> None:
        """End the threads; jobs that still wait fail. Safe to call twice."""
        self._closed = True
        loaded, self._loaded = self._loaded, None
        if loaded is not None:
            loaded.readers.shutdown(wait=False, cancel_futures=True)
            await asyncio.to_thread(loaded.pool.close)

    def _set_dead(self, cause: str) -> None:
        self._cause = cause
        self._died.set()

    def _require(self) -> _Loaded:
        if self._loaded is None:
            raise EngineFailed("the engine is not running")
        return self._loaded

    async def _embed(self, pool: Pool, windows: Sequence[Ids], *, fresh: bool) -> Embeddings:
        """Embed what is not in the cache; `fresh` computes all, since a canary must."""
        keys = [key_of(window) for window in windows]
        known = {} if fresh else {key: self._cache.get(key) for key in keys}
        missing = [index for index, key in enumerate(keys) if known.get(key) is None]
        found = np.empty((len(windows), WIDTH), dtype=np.float32)
        if missing:
            computed = await pool.embed([windows[index] for index in missing])
            found[missing] = computed
            for index, embedding in zip(missing, computed, strict=True):
                if np.isfinite(embedding).all():
                    self._cache.put(keys[index], embedding)
        for index, key in enumerate(keys):
            at_hand = known.get(key)
            if at_hand is not None:
                found[index] = at_hand
        return found


def _tell(loop: asyncio.AbstractEventLoop, call: Callable[[str], None], cause: str) -> None:
    with contextlib.suppress(RuntimeError):  # the loop ended first: nobody is left to be told
        loop.call_soon_threadsafe(call, cause)


def usable_cores() -> int:
    """Cores that this process may run on."""
    return len(os.sched_getaffinity(0))


def _warm(folder: Path) -> Forward:
    try:
        forward = Forward(folder)
        forward.embed([np.array([vocabulary.BOS, vocabulary.EOS], dtype=np.int32)])
    except Exception as error:
        raise EngineStartError(f"ONNX Runtime: {error}", permanent=False) from error
    return forward


def _slices(documents: Sequence[str]) -> Iterator[list[str]]:
    """Cut the list where its texts come to 200,000 characters."""
    part: list[str] = []
    chars = 0
    for document in documents:
        if part and chars + len(document) > _SLICE_CHARS:
            yield part
            part, chars = [], 0
        part.append(document)
        chars += len(document)
    yield part


def _scores(texts: Sequence[Text], embeddings: Embeddings, *, cut: bool) -> list[Score]:
    """Scores of documents from the embeddings: the query's first, then all windows in order."""
    cosines = embeddings[1:] @ embeddings[0]
    scores = []
    at = 0
    for text in texts:
        own = cosines[at : at + len(text.windows)]
        at += len(text.windows)
        tokens = sum(len(window) for window in text.windows)
        truncated = cut or text.truncated
        best = int(own.argmax())
        if np.isfinite(own).all():
            span = text.spans[best] if text.spans else None
            value = calibration.logit(float(own[best]))
            scores.append(Score(value, tokens, truncated, span=span))
        else:
            scores.append(Score(0.0, tokens, truncated, "the model's result is not a number"))
    return scores
