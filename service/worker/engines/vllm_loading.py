"""PURE: how far vLLM's start is, from what it wrote to its log."""

from __future__ import annotations

import re
from collections.abc import Sequence

from service.worker.engine import LoadStep

# In the order in which they happen; texts of vLLM 0.25 to 0.33.
_PHASES = (
    (re.compile(r"Loading \w+ checkpoint shards:\s+(?P<percent>\d+)%"), "reading the weights"),
    (re.compile(r"Loading weights took"), "preparing the model"),
    (re.compile(r"Dynamo bytecode transform time|torch\.compile took"), "compiling"),
    (re.compile(r"KV cache size:"), "warming up"),
    (re.compile(r"Capturing CUDA graphs[^:]*:\s+(?P<percent>\d+)%"), "capturing CUDA graphs"),
)


def load_step(lines: Sequence[str]) -> LoadStep | None:
    """The step that the newest known line tells; None before the first.

    Args:
        lines: oldest first; a progress bar may have written one line over and over.
    """
    for line in reversed(lines):
        for pattern, phase in _PHASES:
            found = list(pattern.finditer(line))
            if found:
                percent = found[-1].groupdict().get("percent")
                return LoadStep(phase, None if percent is None else int(percent) / 100)
    return None
