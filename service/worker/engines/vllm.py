"""The vLLM engine: prompts as token ids into vLLM, logits out of it, a self-check before the first.

Knows nothing of vLLM's interface; `vllm_core.py` does.
"""

from __future__ import annotations

import asyncio
import functools
import hashlib
import logging
import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from service.embedding import Embedded, EmbedJob, InputType, Vector, cannot_embed
from service.errors import EngineFailed, ServiceError
from service.request import Score, ScoreJob
from service.settings import EngineSettings
from service.worker.engine import EngineDeadError, EngineInfo, EngineStartError, LoadStep
from service.worker.engines import vllm_core
from service.worker.engines.daemon_thread import in_thread
from service.worker.engines.model_folder import ModelFolder, open_folder
from service.worker.engines.vllm_arguments import BadArgument, context, engine_arguments
from service.worker.engines.vllm_result import best_scores
from service.worker.prompts.build import Wishes, WrongVocabulary, build_prompts
from service.worker.prompts.embedding import EmbeddingPrompts
from service.worker.prompts.profile import Family, Profile, UnknownModel, choose
from service.worker.prompts.prompt import LongDocuments, Prompt, PromptBuilder
from service.worker.prompts.vocabulary import Vocabulary

log = logging.getLogger("rankguard.worker")

_CHECK_S = 60.0  # two short inputs; the first ones may compile kernels
_TOKENIZING_THREADS = 2
_REPORT_S = 0.5

# A question, its answer, and no answer: any model of these families tells them apart.
_KNOWN = (
    "What is the capital of France?",
    "Paris is the capital and largest city of France.",
    "Bananas are rich in potassium and grow in bunches.",
)


class VllmEngine:
    """Implements `Engine`, and `Embedder` where the model embeds."""

    def __init__(self, settings: EngineSettings) -> None:
        self._settings = settings
        self._core = vllm_core.VllmCore()
        self._builder: PromptBuilder | None = None
        self._task = "classify"
        self._name = settings.served_name or settings.model
        self._space = ""
        self._tokenizing = ThreadPoolExecutor(_TOKENIZING_THREADS, thread_name_prefix="tokenize")

    async def start(self, report: Callable[[LoadStep], None]) -> EngineInfo:
        try:
            return await self._start(report)
        except (BadArgument, UnknownModel, WrongVocabulary) as error:
            raise EngineStartError(str(error), permanent=True) from error

    async def _start(self, report: Callable[[LoadStep], None]) -> EngineInfo:
        settings = self._settings
        report(LoadStep("importing vLLM"))
        await in_thread(vllm_core.import_vllm)
        report(LoadStep("reading the model folder"))
        revision = settings.vllm.get("revision")
        folder = await in_thread(
            functools.partial(open_folder, settings.model, revision=revision, report=report)
        )
        profile = choose(
            folder.config,
            name=folder.name,
            sentence_embedding=folder.sentence_embedding,
            sentence_tokens=folder.sentence_tokens,
            configured=None if settings.profile == "auto" else Family(settings.profile),
        )
        max_tokens, max_model_len = context(settings.max_model_len, profile)
        self._task = "embed" if profile.family is Family.EMBEDDING else "classify"
        self._name = settings.served_name or folder.name
        self._space = vector_space(settings, folder, profile, max_tokens)
        report(LoadStep("loading the model"))
        # a vocabulary takes a second to read: beside the weights, not before them
        reading = asyncio.ensure_future(
            in_thread(lambda: self._read_vocabulary(folder, profile, max_tokens))
        )
        try:
            arithmetic = await self._launched(folder, profile, max_model_len, report)
        finally:
            await asyncio.wait({reading})
        self._builder = reading.result()
        report(LoadStep("checking the scores"))
        notice = await self._check()
        return EngineInfo(
            kind="vllm",
            model=settings.served_name or folder.name,
            max_tokens=max_tokens,
            fingerprint=fingerprint(settings, folder, profile, max_tokens, arithmetic),
            notice=notice,
        )

    async def _launched(
        self,
        folder: ModelFolder,
        profile: Profile,
        max_model_len: int,
        report: Callable[[LoadStep], None],
    ) -> str:
        """Launch, and tell how far it is; returns what `VllmCore.launch` returns."""
        launching = asyncio.ensure_future(
            in_thread(lambda: self._launch(folder, profile, max_model_len))
        )
        told: LoadStep | None = None
        while not launching.done():
            await asyncio.wait({launching}, timeout=_REPORT_S)
            step = self._core.load_step()
            if step is not None and step != told:
                told = step
                report(step)
        return launching.result()

    def _launch(self, folder: ModelFolder, profile: Profile, max_model_len: int) -> str:
        settings = self._settings
        return self._core.launch(
            engine_arguments(
                model=str(folder.path),
                name=settings.served_name or folder.name,
                max_model_len=max_model_len,
                profile=profile,
                machine=vllm_core.machine(),
                given=settings.vllm,
                known=vllm_core.known_arguments(),
            )
        )

    def _read_vocabulary(
        self, folder: ModelFolder, profile: Profile, max_tokens: int
    ) -> PromptBuilder:
        settings = self._settings
        wishes = Wishes(
            max_tokens=max_tokens,
            mode=LongDocuments(settings.long_documents),
            instruction=settings.instruction,
            query_prefix=settings.embedding.query_prefix,
            document_prefix=settings.embedding.document_prefix,
        )
        return build_prompts(Vocabulary(folder.tokenizer_json()), profile, wishes)

    async def score(self, job: ScoreJob) -> Sequence[Score]:
        builder = self._builder
        if builder is None:
            raise EngineFailed("the engine is not started")
        prompts = await asyncio.get_running_loop().run_in_executor(
            self._tokenizing,
            functools.partial(
                builder.build, job.query, job.documents, job.instruction, job.max_tokens_per_doc
            ),
        )
        if prompts.query is None:
            outputs = await self._core.run(prompts.documents, self._task)
            logits = [
                None if output is None else float(output.reshape(-1)[0]) for output in outputs
            ]
            return best_scores(prompts.documents, logits, count=len(job.documents))
        asked, *outputs = await self._core.run([prompts.query, *prompts.documents], self._task)
        if asked is None:
            raise EngineFailed("vLLM failed on the query")
        return best_scores(
            prompts.documents,
            [None if output is None else self._similarity(asked, output) for output in outputs],
            count=len(job.documents),
            query_tokens=len(prompts.query.token_ids),
        )

    async def embed(self, job: EmbedJob) -> Embedded:
        builder = self._builder
        if builder is None:
            raise EngineFailed("the engine is not started")
        if not isinstance(builder, EmbeddingPrompts):
            raise cannot_embed(self._name)
        prompts = await asyncio.get_running_loop().run_in_executor(
            self._tokenizing,
            functools.partial(builder.inputs, job.texts, queries=job.input_type is InputType.QUERY),
        )
        outputs = await self._core.run(prompts, self._task)
        vectors = [_vector(*pair) for pair in zip(prompts, outputs, strict=True)]
        return Embedded(tuple(vectors), self._space)

    def _similarity(self, first: Any, second: Any) -> float:
        """The calibrated logit of two embeddings' cosine; NaN when one of them is zero."""
        first, second = first.double(), second.double()
        norm = float(first.norm()) * float(second.norm())
        cosine = float(first @ second) / norm if norm else math.nan
        calibration = self._settings.embedding
        return calibration.scale * (cosine - calibration.center)

    async def _check(self) -> str:
        """Score a known pair; returns a notice when the operator goes on with a bad model.

        Raises:
            EngineStartError: not finite, or not in the right order.
        """
        query, right, wrong = _KNOWN
        job = ScoreJob(id="self-check", query=query, documents=(right, wrong), timeout_s=_CHECK_S)
        try:
            scores = await asyncio.wait_for(self.score(job), _CHECK_S)
        except (asyncio.TimeoutError, TimeoutError):
            raise EngineStartError(
                f"self-check: two inputs were not scored within {_CHECK_S:g} s", permanent=False
            ) from None
        except EngineDeadError as error:
            raise EngineStartError(f"self-check: {error}", permanent=False) from error
        except ServiceError as error:
            # an input that does not fit is the configuration's fault, and stays
            permanent = not isinstance(error, EngineFailed)
            raise EngineStartError(f"self-check: {error}", permanent=permanent) from error
        errors = [score.error for score in scores if score.error is not None]
        if errors:
            raise EngineStartError(f"self-check: {errors[0]}", permanent=True)
        first, second = (score.logit for score in scores)
        if first > second:
            return ""
        found = (
            f"self-check: the right document has logit {first:.3f}, the wrong one {second:.3f}; "
            "this is no reranker, or it is not asked as it was trained"
        )
        if self._settings.self_check == "refuse":
            raise EngineStartError(f"{found} (see [engine] profile, self_check)", permanent=True)
        log.warning("%s", found)
        return f"{found}. It is served because [engine] self_check is warn."

    def steps(self) -> int:
        return self._core.progress.steps

    def prefix_cache(self) -> tuple[int, int]:
        """Prompt tokens looked up in the prefix cache so far, and those found there."""
        return self._core.progress.looked_up, self._core.progress.found

    async def died(self) -> str:
        return await self._core.died()

    async def close(self) -> None:
        await self._core.close()
        self._tokenizing.shutdown(wait=False, cancel_futures=True)


def vector_space(
    settings: EngineSettings, folder: ModelFolder, profile: Profile, max_tokens: int
) -> str:
    """What makes vectors comparable: weights, prefixes, instruction, and where texts are cut.

    Not the arithmetic: vectors of one model on two cards differ less than an index can tell.
    """
    prefixes = settings.embedding
    parts = (
        folder.weights,
        profile.query_prefix if prefixes.query_prefix is None else prefixes.query_prefix,
        profile.document_prefix if prefixes.document_prefix is None else prefixes.document_prefix,
        settings.instruction,
        str(max_tokens),
    )
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


def _vector(prompt: Prompt, output: Any) -> Vector:
    """One text's vector of length 1."""
    name = f"texts[{prompt.document}]"
    if output is None:
        raise EngineFailed(f"vLLM failed on {name}")
    values = output.double().reshape(-1)
    norm = float(values.norm())
    if not (math.isfinite(norm) and norm):
        raise EngineFailed(f"the model's result for {name} is no direction")
    packed = (values / norm).float().numpy().astype("<f4").tobytes()
    return Vector(packed, len(prompt.token_ids), prompt.truncated)


def fingerprint(
    settings: EngineSettings,
    folder: ModelFolder,
    profile: Profile,
    max_tokens: int,
    arithmetic: str,
) -> str:
    """What makes scores comparable: weights, arithmetic, prompt, and how texts are fitted."""
    parts = (
        arithmetic,
        folder.weights,
        profile.family.value,
        settings.instruction,
        settings.long_documents,
        str(max_tokens),
        settings.embedding.model_dump_json() if profile.family is Family.EMBEDDING else "",
        repr(sorted(settings.vllm.items())),
    )
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]
