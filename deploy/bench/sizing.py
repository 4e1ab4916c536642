"""From a measured rate to a number of replicas and the configuration for it. PURE."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from deploy.bench.slo import HEADROOM, Trial, best, replicas_for


@dataclass(frozen=True, slots=True)
class Advice:
    """How many replicas for a wanted rate.

    Attributes:
        per_replica: requests a second that one replica carries within the objective.
        wanted: None: no rate was asked for, `replicas` is what was measured.
    """

    per_replica: float
    wanted: float | None
    replicas: int
    words: str

    def to_json(self) -> dict[str, Any]:
        return {
            "per_replica": round(self.per_replica, 3),
            "wanted": self.wanted,
            "replicas": self.replicas,
            "headroom": HEADROOM,
            "configuration": configuration(self.replicas),
        }


def advise(trials: Sequence[Trial], *, wanted: float | None, replicas: int) -> Advice | None:
    """Advice from a search or a single run; None when no run met its objective.

    Args:
        replicas: that served while it was measured.
    """
    found = best(trials)
    if found is None:
        return None
    per_replica = found.rate / replicas
    carried = f"{found.rate:.2f} requests/s within the objective with {replicas} replica(s)"
    if wanted is None:
        return Advice(per_replica, None, replicas, carried)
    needed = replicas_for(wanted, found.rate, replicas=replicas)
    words = (
        f"{carried}; for {wanted:g} requests/s at {HEADROOM:.0%} of that per replica: "
        f"{needed} replica(s), each on a card (or cores) of its own\n{configuration(needed)}"
    )
    return Advice(per_replica, wanted, needed, words)


def configuration(replicas: int) -> str:
    return f"[monitor]\nreplicas = {replicas}\n"
