"""What vLLM's prefix cache is worth: one query, ever new documents, with it and without it.

Two workers side by side, asked in turn, so that a machine that drifts drifts for both.
"""

from __future__ import annotations

import contextlib
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from deploy.bench.text import Library
from deploy.upgrade.asking import Worker
from deploy.upgrade.shadow import Shadow

_LIMIT_S = 3600.0
_SWITCH = "RANKGUARD_ENGINE__VLLM__ENABLE_PREFIX_CACHING"
_SHARE = "RANKGUARD_ENGINE__VLLM__GPU_MEMORY_UTILIZATION"
_HALF = "0.4"
"""Of a card for each of the two, with what a driver and its contexts take."""
_SETTLE_S = 1.5
"""Before each turn: vLLM's processes spin for a second after their last work (`SpinCondition` in
its `shm_broadcast.py`), and where cores are few the other side would be measured against that."""


@dataclass(frozen=True, slots=True)
class Load:
    """What is asked.

    Attributes:
        documents: in a request; chars: in a document; query_chars: of the one query.
        rounds: pairs of turns that count; one more goes before them.
        seconds: of a turn, at least; one request where that takes longer.
    """

    documents: int
    chars: int
    query_chars: int
    rounds: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Found:
    """Medians over the rounds.

    Attributes:
        ratio: documents per second with the cache to those without, of each round.
        hit_ratio: share of prompt tokens that the cache had, of those looked up; None: no tokens.
    """

    on_docs_per_s: float
    off_docs_per_s: float
    ratio: tuple[float, ...]
    hit_ratio: float | None

    def to_json(self) -> dict[str, Any]:
        return {
            "on_docs_per_s": round(self.on_docs_per_s, 2),
            "off_docs_per_s": round(self.off_docs_per_s, 2),
            "ratio": {
                "median": round(statistics.median(self.ratio), 3),
                "min": round(min(self.ratio), 3),
                "max": round(max(self.ratio), 3),
            },
            "hit_ratio": None if self.hit_ratio is None else round(self.hit_ratio, 3),
        }


def measure(
    folder: Path,
    config: Path | None,
    environment: Mapping[str, str],
    load: Load,
    *,
    gpu_uuid: str | None,
    tell: Callable[[str], None],
) -> Found:
    """Start both, ask both in turn.

    Raises:
        ShadowError: a worker did not start.
        AskError: one does not answer.
    """
    urls: dict[str, str] = {}
    with contextlib.ExitStack() as stack:
        for name, value in (("on", "true"), ("off", "false")):
            given = {**environment, _SWITCH: value}
            if gpu_uuid is not None:
                given.setdefault(_SHARE, _HALF)
            place = folder / name
            place.mkdir(parents=True, exist_ok=True)
            shadow = stack.enter_context(Shadow(place, config, given, gpu_uuid))
            manifest = shadow.wait_ready(_LIMIT_S, tell)
            urls[name] = manifest.url
        return compare(urls["on"], urls["off"], load, tell)


def compare(
    on_url: str,
    off_url: str,
    load: Load,
    tell: Callable[[str], None],
    *,
    settle_s: float = _SETTLE_S,
) -> Found:
    """Ask a worker with the cache and one without, turn by turn.

    Raises:
        AskError: one does not answer.
    """
    workers = {"on": Worker("on", on_url), "off": Worker("off", off_url)}
    library = Library(seed=2)
    query = library.request(-1, documents=1, chars=load.query_chars).documents[0]
    speeds: dict[str, list[float]] = {name: [] for name in workers}
    for turn in range(load.rounds + 1):
        tell(f"round {turn} of {load.rounds}")
        order = list(workers) if turn % 2 else list(reversed(list(workers)))
        for name in order:
            time.sleep(settle_s)
            speed = _turn(workers[name], query, library, load, first=turn * _NUMBERS)
            if turn:  # the first one fills the cache and warms both
                speeds[name].append(speed)
    ratio = tuple(on / off for on, off in zip(speeds["on"], speeds["off"], strict=True))
    return Found(
        statistics.median(speeds["on"]),
        statistics.median(speeds["off"]),
        ratio,
        _hit_ratio(on_url),
    )


_NUMBERS = 1_000_000
"""Requests that a turn has texts for: the two sides are sent the same, and no turn another's."""


def _turn(worker: Worker, query: str, library: Library, load: Load, *, first: int) -> float:
    """Documents per second of a worker that is asked again at once; making texts not counted."""
    spent_s, asked = 0.0, 0
    while spent_s < load.seconds:
        texts = library.request(first + asked, documents=load.documents, chars=load.chars)
        spent_s += worker.ask(query, texts.documents).took_s
        asked += 1
    return asked * load.documents / spent_s


def _hit_ratio(url: str) -> float | None:
    try:
        told = requests.get(f"{url}/progress", timeout=5).json()
        looked_up, found = told.get("prefix_looked_up"), told.get("prefix_found")
    except (requests.RequestException, ValueError, AttributeError):
        return None
    return found / looked_up if looked_up else None
