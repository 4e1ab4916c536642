"""Which loads, in which order, for how long. PURE."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from deploy.bench.versus import Shape

CLIENTS = (1, 4, 16)
DOCUMENTS = (10, 100, 1000)

FIRST_UNIQUE = 1000
"""Number of the first run that counts; the warming ones are below."""

_REPEATED = ((1, 10), (4, 10), (16, 10), (1, 100), (4, 100), (16, 100), (1, 1000))
_QUICK = ((1, 10), (4, 100))


@dataclass(frozen=True, slots=True)
class Plan:
    """One comparison's rounds: every load once in each round, on every side in turn.

    Attributes:
        shapes: loads, the most important first: when the time is up, the last ones have fewer
            rounds.
        seconds: least length of one run; a run ends with the answers to what it sent.
        warm_rounds: rounds before the first that counts.
    """

    shapes: tuple[Shape, ...]
    rounds: int
    seconds: float
    warm_rounds: int = 0


def warming(unique: Plan) -> Plan:
    """A middling load, once: what an engine compiles and allocates at its first batches."""
    middle = unique.shapes[len(unique.shapes) // 2]
    return Plan((middle,), 1, unique.seconds)


def unique(chars: int, *, quick: bool) -> Plan:
    """Documents that nobody has seen; by load from the smallest to the largest."""
    pairs = _QUICK if quick else sorted(_grid(), key=lambda pair: pair[0] * pair[1])
    shapes = tuple(Shape(clients, documents, chars) for clients, documents in pairs)
    return Plan(shapes, 2 if quick else 4, 1.5 if quick else 3.0)


def repeated(chars: int, *, quick: bool) -> Plan:
    """One request again and again; the first round fills the caches of both sides."""
    shapes = tuple(
        Shape(clients, documents, chars, repeated=True)
        for clients, documents in (_QUICK if quick else _REPEATED)
    )
    return Plan(shapes, 1 if quick else 3, 1.0, warm_rounds=1)


def order(names: Sequence[str], turn: int) -> list[str]:
    """Who runs first: everyone in turn, and the neighbours change as well."""
    at = turn % len(names)
    turned = [*names[at:], *names[:at]]
    return turned[::-1] if (turn // len(names)) % 2 else turned


@dataclass(slots=True)
class Budget:
    """Whether there is time for one more turn of a load, judged by how long its last one took.

    Attributes:
        deadline: on the caller's clock, seconds.
    """

    deadline: float
    _took: dict[Shape, float] = field(default_factory=dict)

    def allows(self, shape: Shape, now: float) -> bool:
        """The first turn of a load is always allowed: a load without a number says nothing."""
        took = self._took.get(shape)
        return took is None or now + took <= self.deadline

    def took(self, shape: Shape, seconds: float) -> None:
        self._took[shape] = seconds


def expected_runs(plan: Plan, sides: Mapping[str, object]) -> int:
    """Runs of the whole plan, for a progress bar."""
    return len(plan.shapes) * (plan.rounds + plan.warm_rounds) * len(sides)


def _grid() -> list[tuple[int, int]]:
    return [(clients, documents) for clients in CLIENTS for documents in DOCUMENTS]
