"""The same faults with engines that compute: vLLM on the CPU, and the embedded one."""

from __future__ import annotations

import contextlib
import os
import signal
from dataclasses import replace
from pathlib import Path

import psutil

from service.settings import EmbeddedSettings
from service.worker.engines.e5.place import is_complete, model_folder
from tests.faults.fault import Fault, Injury
from tests.faults.ground import PATIENT, Ground, Layout
from tests.faults.result import Bounds

_ROOT = Path(__file__).parents[2]
_PYTHON = _ROOT / "build" / "venv-vllm" / "bin" / "python"
_MODEL = _ROOT / "build" / "tiny-qwen3-reranker"
_PATIENCE_S = 280.0  # of clients and gateway: a busy machine loads vLLM for minutes
_VLLM = Layout(
    replicas=1,
    engine="vllm",
    python=str(_PYTHON),
    start_s=300.0,
    settings=(
        *PATIENT,
        ("ENGINE__MODEL", str(_MODEL)),
        ("ENGINE__MAX_MODEL_LEN", "2048"),
        ("ENGINE__SELF_CHECK", "warn"),  # random weights know nothing of Paris
        ("ENGINE__VLLM__KV_CACHE_MEMORY_BYTES", str(1 << 30)),
        ("ENGINE__VLLM__ENFORCE_EAGER", "true"),
        ("SERVICE__REQUEST_TIMEOUT_S", str(_PATIENCE_S)),
    ),
)
_EMBEDDED = Layout(engine="embedded", settings=PATIENT)
_LOAD_RATIO = 1.05


def _no_vllm() -> str:
    if not _PYTHON.exists():
        return "needs build/venv-vllm (make test-vllm makes it)"
    return (
        "" if (_MODEL / "config.json").exists() else "needs build/tiny-qwen3-reranker (make bench)"
    )


def _no_model() -> str:
    ready = is_complete(model_folder(EmbeddedSettings()))
    return "" if ready else "needs the embedded model (rankguard model prepare)"


def _core(number: signal.Signals) -> Injury:
    """A signal to vLLM's engine core; the worker's own process goes on answering."""

    def injure(on: Ground) -> None:
        for child in psutil.Process(on.replica().pid).children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                if "EngineCore" in " ".join(child.cmdline()):
                    os.kill(child.pid, number)
                    return
        raise AssertionError("no engine core")

    return injure


_REAL = Fault(
    "",
    "",
    _core(signal.SIGKILL),
    _VLLM,
    Bounds(detected_s=5.0, load_ratio=_LOAD_RATIO, may_be_wrong=True),
    clients=2,
    missing=_no_vllm,
    limit_s=300.0,
    patience_s=_PATIENCE_S,
)

ROWS: tuple[Fault, ...] = (
    Fault(
        "15e",
        "embedded engine: replica killed",
        lambda on: on.kill(),
        _EMBEDDED,
        Bounds(detected_s=1.0, recovered_s=15.0),
        missing=_no_model,
    ),
    replace(_REAL, id="15v", name="vLLM: engine core killed"),
    replace(
        _REAL,
        id="16v",
        name="vLLM: engine core stopped, its HTTP answers",
        injure=_core(signal.SIGSTOP),
        bounds=Bounds(detected_s=5.0, load_ratio=_LOAD_RATIO, may_be_wrong=True),
    ),
)
