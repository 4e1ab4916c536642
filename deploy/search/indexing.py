"""`rankguard search index`: a folder into the index, with progress."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.progress import Progress as Bar
from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn

from deploy.search.place import Refused, embedder, patiently
from service.embedding import InputType
from service.gateway.search.cut import Cutter
from service.gateway.search.indexer import Indexer, Progress
from service.gateway.search.reader import Reader
from service.gateway.search.store import StoreError
from service.settings import ServiceSettings

SHOWN = 10
"""Skipped files that are named on the terminal."""


def run(folder: Path, settings: ServiceSettings, *, url: str, key: str, as_json: bool) -> None:
    """Index the folder and say what was done.

    Raises:
        StoreError, Unanswered, Refused: a sentence for the terminal.
    """
    if not folder.is_dir():
        raise Refused(f"{folder} is not a folder")
    models = embedder(settings, url, key)
    # one text tells the model's vector space and length, before anything is read
    probe = models.embed(["rankguard"], InputType.DOCUMENT)
    search = settings.search
    cutter = Cutter(search.passage_tokens)
    index = patiently(settings, probe.space, probe.vectors[0].dimension, create=True)
    indexer = Indexer(index.store, index.writer, models, cutter, space=probe.space)
    root = folder.resolve()
    sources = Reader(max_file_bytes=search.max_file_bytes).read(root)
    try:
        done = _watched(lambda report: indexer.run(str(root), sources, report))
    except OSError as error:
        raise StoreError(f"{folder}: {error.strerror}") from error
    finally:
        index.close()
    if as_json:
        print(json.dumps(_summary(done, probe.model), ensure_ascii=False, indent=1))
    else:
        _tell(done, folder, probe.model)


def _watched(work: Callable[[Callable[[Progress], None]], Progress]) -> Progress:
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("reading")

        def report(now: Progress) -> None:
            bar.update(
                task,
                description=f"{now.seen} texts, {now.unchanged} unchanged, "
                f"{now.passages} passages written",
            )

        return work(report)


def _summary(done: Progress, model: str) -> dict[str, object]:
    return {
        "model": model,
        "texts": done.seen,
        "unchanged": done.unchanged,
        "indexed": done.indexed,
        "removed": done.removed,
        "passages": done.passages,
        "skipped": done.skipped_count,
        "skipped_files": [{"name": one.name, "why": one.why} for one in done.skipped],
        "seconds": round(done.seconds, 3),
    }


def _tell(done: Progress, folder: Path, model: str) -> None:
    rate = done.passages / done.seconds if done.seconds else 0.0
    print(
        f"{folder}: {done.seen} texts; {done.indexed} new or changed, {done.unchanged} unchanged, "
        f"{done.removed} gone\n"
        f"{done.passages} passages embedded by {model} in {done.seconds:.1f} s "
        f"({rate:.0f} a second)"
    )
    for one in done.skipped[:SHOWN]:
        # a file's name may hold what moves a terminal's cursor
        name = "".join(each if each.isprintable() else "\ufffd" for each in one.name)
        print(f"skipped {name}: {one.why}", file=sys.stderr)
    if done.skipped_count > SHOWN:
        print(f"and {done.skipped_count - SHOWN} more were skipped", file=sys.stderr)
