"""Runs a plan: short runs of every side in turn, round by round, until the time is up."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from deploy.bench.bare.plan import Budget, Plan, order
from deploy.bench.text import Library
from deploy.bench.versus import ByLoad, Run, Shape, Side, run_once
from deploy.evaluate.endpoint import Client


@dataclass(slots=True)
class Runs:
    """All runs that counted, by side and load; the same index is the same round."""

    _found: dict[tuple[str, Shape], list[Run]] = field(default_factory=dict)

    def add(self, name: str, shape: Shape, run: Run) -> None:
        self._found.setdefault((name, shape), []).append(run)

    def of(self, name: str, shape: Shape) -> tuple[Run, ...]:
        return tuple(self._found.get((name, shape), ()))

    def compared(self, ours: str, theirs: str, shapes: Sequence[Shape]) -> list[ByLoad]:
        """Two sides of it, load by load; loads that were never run are left out."""
        return [
            ByLoad(shape, self.of(ours, shape), self.of(theirs, shape))
            for shape in shapes
            if self.of(ours, shape)
        ]


async def play(
    client: Client,
    sides: Mapping[str, Side],
    library: Library,
    plan: Plan,
    *,
    deadline: float,
    tick: Callable[[str, Shape], None],
    first: int = 1,
    clock: Callable[[], float] = time.monotonic,
) -> Runs:
    """All rounds of the plan, as far as the time allows.

    All sides are sent the same texts in the same round: no cache is shared between them, and the
    comparison is then of the sides and not of the texts.

    Args:
        deadline: on `clock`; what cannot end before it is not begun.
        tick: called before each run.
        first: number of the first run; two plays whose numbers meet send the same texts, and a
            cache answers.
    """
    runs = Runs()
    budget = Budget(deadline)
    names = list(sides)
    number = first - 1
    for turn in range(plan.warm_rounds + plan.rounds):
        for shape in plan.shapes:
            began = clock()
            number += 1
            # a load without a number says nothing: each counts once, whatever the time
            if runs.of(names[0], shape) and not budget.allows(shape, began):
                continue
            for name in order(names, turn):
                tick(name, shape)
                run = await run_once(
                    client, sides[name], library, shape, number=number, seconds=plan.seconds
                )
                if turn >= plan.warm_rounds:
                    runs.add(name, shape, run)
            budget.took(shape, clock() - began)
    return runs
