"""Which engine a worker runs. `auto` is decided here, once, and said in the log."""

from __future__ import annotations

import importlib.util
import logging
from pathlib import Path

from service.settings import EngineSettings
from service.worker.engine import Engine
from service.worker.engines.scripted import ScriptedEngine

log = logging.getLogger("rankguard.worker")


def has_usable_gpu() -> bool:
    """Whether the NVIDIA driver shows a card here; reads no library, so that it cannot hang."""
    return Path("/proc/driver/nvidia/gpus").is_dir() and any(
        Path("/proc/driver/nvidia/gpus").iterdir()
    )


def resolve_kind(settings: EngineSettings) -> tuple[str, str]:
    """The engine's kind, and why."""
    if settings.kind != "auto":
        return settings.kind, "configured"
    if not has_usable_gpu():
        return "embedded", "auto: no GPU on this host"
    if importlib.util.find_spec("vllm") is None:
        return "embedded", "auto: there is a GPU, but vLLM is not installed (extra `vllm`)"
    return "vllm", "auto: a GPU and vLLM"


def build_engine(settings: EngineSettings) -> Engine:
    """The engine that the settings name; its libraries are imported here and not before."""
    kind, why = resolve_kind(settings)
    log.info("engine %s (%s)", kind, why)
    if kind == "scripted":
        return ScriptedEngine(settings.scripted, settings.served_name)
    if kind == "embedded":
        from service.worker.engines.embedded import EmbeddedEngine

        return EmbeddedEngine(settings.embedded, settings.served_name)
    if kind == "remote":
        from service.worker.engines.remote import RemoteEngine

        return RemoteEngine(settings.remote, model=settings.model, served_name=settings.served_name)
    from service.worker.engines.vllm import VllmEngine

    return VllmEngine(settings)
