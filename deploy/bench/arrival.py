"""When an open loop sends: times set before the run, drawn or replayed. Seeded."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from deploy.evaluate.dataset import DataError


def poisson(rate: float, seconds: float, *, seed: int) -> list[float]:
    """Arrival times in seconds from the start, independent of each other, `rate` a second.

    Raises:
        ValueError: rate or duration is not positive.
    """
    return bursts(rate, seconds, size=1, seed=seed)


def bursts(rate: float, seconds: float, *, size: int, seed: int) -> list[float]:
    """Like `poisson`, but `size` requests at each time and the same mean rate."""
    if rate <= 0 or seconds <= 0 or size < 1:
        raise ValueError("rate, duration and burst size must be positive")
    source = random.Random(seed)
    times: list[float] = []
    at = source.expovariate(rate / size)
    while at < seconds:
        times += [at] * size
        at += source.expovariate(rate / size)
    return times


def replay(lines: Iterable[str], *, speed: float = 1.0) -> list[float]:
    """The arrival times in a log, from 0 on.

    Args:
        lines: of the gateway's own access log (JSON with `time` and `path`; only rerank requests
            count), or JSON with `at`, or just numbers of seconds. Other lines are left out.
        speed: 2 replays twice as fast.

    Raises:
        ValueError: no line has a time, or the speed is not positive.
    """
    if speed <= 0:
        raise ValueError("the speed must be positive")
    times = sorted(at for line in lines if (at := _time_of(line)) is not None)
    if not times:
        raise ValueError("no line of the log names a time")
    return [(at - times[0]) / speed for at in times]


def read_log(path: Path, *, speed: float) -> list[float]:
    """`replay` of a file.

    Raises:
        DataError: it cannot be read or names no time.
    """
    try:
        return replay(path.read_text(encoding="utf-8").splitlines(), speed=speed)
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: {error}") from None


def _time_of(line: str) -> float | None:
    try:
        item = json.loads(line)
    except ValueError:
        return None
    if isinstance(item, dict):
        if "rerank" not in str(item.get("path", "rerank")):
            return None
        item = item.get("at", item.get("time"))
    if isinstance(item, str):
        try:
            return datetime.fromisoformat(item.replace("Z", "+00:00")).timestamp()
        except ValueError:
            return None
    return float(item) if isinstance(item, int | float) and not isinstance(item, bool) else None
