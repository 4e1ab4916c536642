"""What the parts of the benchmark share: loads, and facts that one part learns for another."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from deploy.bench import length
from deploy.bench.bare import plan as schedule
from deploy.bench.bare.rounds import Runs, play
from deploy.bench.text import Library
from deploy.bench.versus import Run, Shape, Side
from deploy.evaluate.endpoint import Client
from deploy.gpu.ground import Ground
from deploy.gpu.part import Cells, Failed, Value
from deploy.gpu.shape import from_config

Load = tuple[int, int, int]
"""Tokens of a document, documents in a request, clients."""

Found = dict[Load, dict[str, tuple[Run, ...]]]
"""The runs of each side, by load."""

_SEED = 7
_PEAK_S = 180.0


@dataclass(frozen=True, slots=True)
class Grid:
    """Which loads.

    Attributes:
        documents: in a request, by the tokens of a document.
        seconds: least length of one run.
    """

    documents: Mapping[int, int]
    clients: tuple[int, ...]
    rounds: int
    seconds: float
    replicas: tuple[int, ...]

    @property
    def middle(self) -> Load:
        """One load for what is looked at once: tokens, documents, clients."""
        tokens = sorted(self.documents)[min(1, len(self.documents) - 1)]
        return tokens, self.documents[tokens], self.clients[-1] if len(self.clients) < 4 else 16


CARD = Grid({64: 100, 256: 100, 1024: 32, 8192: 4}, (1, 4, 16, 64), 2, 3.0, (1, 2, 4))
CARD_QUICK = Grid({64: 100, 1024: 16}, (1, 16), 1, 2.0, (1, 2))
CPU = Grid({64: 20, 256: 10, 1024: 4}, (1, 4), 2, 2.0, (1, 2))
CPU_QUICK = Grid({64: 10, 256: 5}, (1, 2), 1, 1.0, (1, 2))


@dataclass(slots=True)
class Facts:
    """Learned on the way; None until then."""

    flops_per_s: float | None = None
    parameters: int | None = None
    multiplied: int | None = None


@dataclass(slots=True)
class Bench:
    """One benchmark: its ground, its loads, its texts."""

    ground: Ground
    grid: Grid
    facts: Facts
    say: Callable[[str], None]
    _chars_per_token: float = 0.0
    _number: int = 0

    def play(
        self,
        names: Sequence[str],
        shapes: Sequence[Load],
        *,
        repeated: bool = False,
    ) -> Found:
        """Run loads on sides that are up, in turn.

        No text of one call comes again in another, unless it is the same request repeated.
        """
        return asyncio.run(self._play(names, shapes, repeated=repeated))

    async def _play(self, names: Sequence[str], shapes: Sequence[Load], *, repeated: bool) -> Found:
        library = Library(seed=_SEED)
        known: dict[str, Side] = {name: self.ground.side(name) for name in names}
        async with Client() as client:
            if not self._chars_per_token:
                first = next(iter(known.values())).target
                self._chars_per_token = (
                    await length.measure(client, first, library)
                ).chars_per_token
            of = {
                shape: Shape(shape[2], shape[1], self.chars(shape[0]), repeated=repeated)
                for shape in shapes
            }
            chosen = schedule.Plan(
                tuple(of.values()), self.grid.rounds, self.grid.seconds, warm_rounds=int(repeated)
            )
            first_number = schedule.FIRST_UNIQUE + self._number
            self._number += len(shapes) * (self.grid.rounds + 1)
            runs: Runs = await play(
                client,
                known,
                library,
                chosen,
                deadline=time.monotonic() + 3600,
                tick=lambda name, load: self.say(
                    f"    {name}: {load.clients} x {load.documents} x {load.chars} characters"
                ),
                first=first_number,
            )
        return {shape: {name: runs.of(name, load) for name in names} for shape, load in of.items()}

    def chars(self, tokens: int) -> int:
        return max(16, round(tokens * self._chars_per_token))


def row(name: str, shape: Load, runs: Sequence[Run]) -> dict[str, Value]:
    """The middle of a side's runs of one load."""

    def middle(values: Sequence[float]) -> float:
        return round(sorted(values)[len(values) // 2], 3) if values else 0.0

    tokens, documents, clients = shape
    cpu = [run.cpu_ms_per_doc for run in runs if run.cpu_ms_per_doc is not None]
    speed = [run.summary.tokens_per_s for run in runs if run.summary.tokens_per_s is not None]
    return {
        "side": name,
        "doc_tokens": tokens,
        "documents": documents,
        "clients": clients,
        "docs_per_s": middle([run.summary.docs_per_s for run in runs]),
        "p50_ms": middle([run.summary.p50_ms for run in runs]),
        "p99_ms": middle([run.summary.p99_ms for run in runs]),
        "tokens_per_s": middle(speed) if speed else None,
        "cpu_ms_per_doc": middle(cpu) if cpu else None,
        "requests": sum(run.summary.requests for run in runs),
        "failed": sum(run.summary.failed for run in runs),
    }


def no_failures(rows: Sequence[Cells], numbers: Mapping[str, Value]) -> None:
    """Raises Failed when a request of any row failed."""
    failed = sum(int(each["failed"] or 0) for each in rows)
    if failed:
        raise Failed(f"{failed} requests failed", numbers, {"loads": rows})


def peak(python: str) -> dict[str, str | int | float]:
    """What matrices are multiplied with here.

    Raises:
        Failed: it cannot be measured.
    """
    try:
        done = subprocess.run(
            [python, "-m", "deploy.gpu.peak_child"],
            capture_output=True,
            text=True,
            timeout=_PEAK_S,
            check=False,
            env={**os.environ},
        )
        return dict(json.loads(done.stdout.splitlines()[-1]))
    except (OSError, subprocess.SubprocessError, ValueError, IndexError) as error:
        raise Failed(f"the speed of matrix products cannot be measured: {error}") from error


def counted(model: Path) -> tuple[int, int] | None:
    """Parameters of a model folder, all and those that multiply; None for another kind of model."""
    try:
        shape = from_config(json.loads((model / "config.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return shape.parameters, shape.multiplied
