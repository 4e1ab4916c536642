"""`rankguard search measure`: the stages compared on judged data, as a table or JSON."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from deploy.evaluate import choice
from deploy.evaluate.dataset import DataError, parse_pair
from deploy.search import measuring
from deploy.search.models import both
from deploy.search.place import Refused
from service.settings import ServiceSettings


@dataclass(frozen=True, slots=True)
class Wish:
    """What the command line asked."""

    data: str
    pairs: tuple[str, ...]
    queries: int
    candidates: int
    out: Path


def run(wish: Wish, settings: ServiceSettings, *, url: str, key: str, as_json: bool) -> None:
    """Measure and print.

    Raises:
        StoreError, Unanswered, Refused: a sentence for the terminal.
    """
    models = both(settings, url, key)
    try:
        dataset = choice.dataset(wish.data, "", None)
        plan = measuring.Plan(
            dataset=dataset,
            folder=wish.out / dataset.name,
            pairs=tuple(parse_pair(each) for each in wish.pairs),
            queries=wish.queries or None,
            candidates=wish.candidates,
            settings=settings.search,
        )
        rows = measuring.run(plan, models.embeds, models, _tell)
    except DataError as error:
        raise Refused(str(error)) from error
    if as_json:
        print(json.dumps([asdict(row) for row in rows], indent=1))
    else:
        _show(rows)


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _show(rows: list[measuring.Row]) -> None:
    table = Table(box=None, pad_edge=False)
    for name in ("pair", "system"):
        table.add_column(name)
    for name in ("queries", "NDCG@10", "recall", "p50 ms", "p95 ms"):
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(
            row.pair,
            row.system,
            str(row.queries),
            f"{row.ndcg_at_10:.3f}",
            f"{row.recall:.3f}",
            f"{row.p50_ms:.0f}",
            f"{row.p95_ms:.0f}",
        )
    Console().print(table)
