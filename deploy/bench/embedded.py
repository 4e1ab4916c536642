"""Speed of the embedded engine, beside ONNX Runtime called directly on the same batches.

    python -m deploy.bench.embedded --cores 1

Prints JSON. The two are timed in turns, so that a noisy machine is noisy for both.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from service.request import ScoreJob
from service.settings import EmbeddedSettings
from service.worker.engines.e5 import vocabulary
from service.worker.engines.e5.backlog import Backlog
from service.worker.engines.e5.forward import Forward
from service.worker.engines.e5.pool import PASS_TOKENS
from service.worker.engines.e5.vocabulary import Ids, Vocabulary
from service.worker.engines.embedded import EmbeddedEngine, prepare

ROUNDS = 5
_QUERY = "how long does the delivery take"
_WORDS = [
    "time",
    "person",
    "year",
    "way",
    "day",
    "thing",
    "man",
    "world",
    "life",
    "hand",
    "part",
    "child",
    "eye",
    "woman",
    "place",
    "work",
    "week",
    "case",
    "point",
    "company",
    "number",
    "group",
    "problem",
    "fact",
    "house",
    "water",
    "room",
    "mother",
    "area",
    "money",
    "story",
]
_LIMIT_S = 600.0
_START_LIMIT_S = 120

_START = """
import time; began = time.perf_counter()
import asyncio
from service.request import ScoreJob
from service.settings import EmbeddedSettings
from service.worker.engines.embedded import EmbeddedEngine
async def main():
    engine = EmbeddedEngine(EmbeddedSettings())
    await engine.start(lambda _: None)
    await engine.score(ScoreJob("first", "query", ("document",), 30.0))
    print(time.perf_counter() - began)
    await engine.close()
asyncio.run(main())
"""


def documents(count: int, words: int, seed: int) -> list[str]:
    """Different texts of so many common English words, each a token in this vocabulary."""
    source = random.Random(seed)
    return [" ".join(source.choices(_WORDS, k=words)) for _ in range(count)]


def batches(windows: Sequence[Ids]) -> list[list[Ids]]:
    """The passes that the engine makes of one job."""
    backlog = Backlog(10**9)
    backlog.add(0, [len(window) for window in windows])
    found = []
    while items := backlog.take(PASS_TOKENS):
        found.append([windows[item.index] for item in items])
    return found


def direct_s(forward: Forward, passes: Sequence[Sequence[Ids]], threads: int) -> float:
    """Seconds for all passes, nothing around them but `threads` threads."""
    with ThreadPoolExecutor(threads) as pool:
        began = time.perf_counter()
        list(pool.map(forward.embed, passes))
        return time.perf_counter() - began


async def engine_s(engine: EmbeddedEngine, texts: Sequence[str]) -> float:
    """Seconds for the same documents from text to scores; nothing from the cache."""
    began = time.perf_counter()
    await engine.score(ScoreJob("bench", _QUERY, tuple(texts), _LIMIT_S, canary=True))
    return time.perf_counter() - began


async def compare(words: int, count: int, threads: int) -> dict[str, float]:
    """Engine and direct calls on documents of `words` words, in turns."""
    folder = prepare(EmbeddedSettings(), lambda _: None)
    reader, forward = Vocabulary(folder / vocabulary.FILE), Forward(folder)
    engine = EmbeddedEngine(EmbeddedSettings(threads=threads))
    await engine.start(lambda _: None)
    ours: list[float] = []
    bare: list[float] = []
    tokens = 0
    for turn in range(ROUNDS):
        texts = documents(count, words, turn)
        query = reader.query(_QUERY).windows[0]
        windows = [query, *(one.windows[0] for one in reader.passages(texts, None))]
        tokens = max(len(window) for window in windows)
        bare.append(await asyncio.to_thread(direct_s, forward, batches(windows), threads))
        ours.append(await engine_s(engine, texts))
    await engine.close()
    return {
        "threads": threads,
        "documents": count,
        "document_tokens": tokens,
        "engine_ms_per_document": 1000 * statistics.median(ours) / count,
        "direct_ms_per_document": 1000 * statistics.median(bare) / count,
        "engine_over_direct": statistics.median(a / b for a, b in zip(ours, bare, strict=True)),
    }


def start_s() -> list[float]:
    """Seconds from a Python that has imported nothing to the first score, model in the cache."""
    found = []
    for _ in range(ROUNDS):
        run = subprocess.run(
            [sys.executable, "-c", _START],
            check=True,
            capture_output=True,
            text=True,
            timeout=_START_LIMIT_S,
        )
        found.append(float(run.stdout))
    return found


def main() -> None:
    """Read the arguments, measure, print."""
    parser = argparse.ArgumentParser(description="Speed of the embedded engine")
    parser.add_argument("--cores", type=int, default=0, help="cores to use; 0: all")
    arguments = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))[: arguments.cores or None]
    os.sched_setaffinity(0, cores)
    body = {
        "cores": len(cores),
        "load_average": os.getloadavg()[0],
        "python": sys.version.split()[0],
        "model": str(Path(prepare(EmbeddedSettings(), lambda _: None)).name),
        "start_to_first_score_s": start_s(),
        "runs": [
            asyncio.run(compare(words, count, len(cores)))
            for words, count in ((27, 256), (124, 64), (508, 12))
        ],
    }
    print(json.dumps(body, indent=1))


if __name__ == "__main__":
    main()
