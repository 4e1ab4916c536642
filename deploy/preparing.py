"""Preparing the embedded model with a progress bar on the terminal."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from service.settings import EmbeddedSettings
from service.worker.engine import LoadStep


def prepare_embedded(settings: EmbeddedSettings) -> Path:
    """Bring the model into the cache, unless it is there.

    Raises:
        service.worker.engine.EngineStartError: it cannot be had; says what to bring.
    """
    from service.worker.engines.embedded import prepare  # noqa: PLC0415 - numpy and friends

    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("embedded model", total=None)

        def report(step: LoadStep) -> None:
            progress.update(
                task,
                description=step.phase,
                total=None if step.done is None else 1.0,
                completed=step.done or 0.0,
            )

        return prepare(settings, report)
