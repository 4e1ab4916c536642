"""The batch table: batch size and document length against latency, throughput and memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from deploy.bench import memory
from deploy.bench.generator import Maker, ask, closed_loop
from deploy.bench.latency import Summary, summarize
from deploy.bench.length import Length
from deploy.bench.text import Library
from deploy.evaluate.endpoint import Client, EndpointError, Target

BATCHES = (1, 4, 8, 16, 32)
LENGTHS = (64, 512)
FEWEST_REQUESTS = 5
"""In a cell, however slow: percentiles of fewer mean nothing, and with five p99 is the slowest."""


@dataclass(frozen=True, slots=True)
class Row:
    """One cell of the table.

    Attributes:
        doc_tokens: asked for; `doc_chars` is what that was turned into for this endpoint.
        cpu_ms_per_doc: of the replicas' processes; holds on a busy machine too, where the
            latencies do not.
    """

    batch: int
    doc_tokens: int
    doc_chars: int
    summary: Summary
    usage: memory.Usage
    cpu_ms_per_doc: float | None = None


@dataclass(frozen=True, slots=True)
class Grid:
    """What to measure: one client, closed loop, `seconds` per cell."""

    batches: Sequence[int] = BATCHES
    lengths: Sequence[int] = LENGTHS
    seconds: float = 4.0
    clients: int = 1
    repeated: bool = False
    pids: Sequence[int] = ()


async def measure(
    client: Client,
    target: Target,
    library: Library,
    grid: Grid,
    length: Length,
    *,
    done: Callable[[Row], None],
) -> list[Row]:
    """Every cell of the grid, shortest documents first.

    Raises:
        EndpointError: a cell got no good answer at all.
    """
    rows = []
    first = 0
    for tokens in grid.lengths:
        for batch in grid.batches:
            chars = length.chars(tokens)
            first += 1_000_000  # no request of one cell comes again in the next
            maker = Maker(
                library,
                documents=batch,
                chars=chars,
                first=first,
                repeated=grid.repeated,
                checked=False,
            )
            await ask(client, target, next(maker), 0.0)  # the first of a new shape compiles
            before = memory.cpu_s(grid.pids)
            samples = await closed_loop(
                client,
                target,
                maker,
                clients=grid.clients,
                seconds=grid.seconds,
                at_least=FEWEST_REQUESTS,
            )
            spent = memory.cpu_s(grid.pids) - before
            documents = sum(each.documents for each in samples if not each.error)
            row = Row(
                batch,
                tokens,
                chars,
                summarize(samples),
                memory.usage(grid.pids),
                1000 * spent / documents if grid.pids and documents else None,
            )
            if row.summary.failed == row.summary.requests:
                raise EndpointError(f"no answer for {batch} x {tokens}: {row.summary.errors}")
            rows.append(row)
            done(row)
    return rows


def best_value(rows: Sequence[Row], *, limit_ms: float) -> Row | None:
    """The row with the most documents a second among those whose p95 is within the limit."""
    within = [row for row in rows if row.summary.p95_ms <= limit_ms]
    return max(within, key=lambda row: row.summary.docs_per_s, default=None)
