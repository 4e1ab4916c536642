"""What an operator asked of an upgrade, who is told of it, and how it says that it cannot be."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from deploy.upgrade.verdict import GateLimits, Verdict


class UpgradeError(Exception):
    """It cannot be done; says why, and that nothing was changed unless it says otherwise."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What an operator asked for.

    Attributes:
        changes: configuration key -> text, such as `engine.model`.
        parity: a file of questions; None: the shipped ones.
        take: a replica that is drained so that the trial has its card.
        gpu: the card for the trial; empty: a free one.
    """

    changes: Mapping[str, str]
    limits: GateLimits
    parity: Path | None = None
    quality: str = ""
    queries: int | None = None
    take: str = ""
    gpu: str = ""
    limit_s: float = 900.0
    surge: bool = True


def to_json(plan: Plan) -> dict[str, Any]:
    """The plan as its upgrade's record keeps it."""
    return {**asdict(plan), "parity": None if plan.parity is None else str(plan.parity.resolve())}


def from_json(body: Mapping[str, Any]) -> Plan:
    """What `to_json` made; raises KeyError or TypeError."""
    parity = body["parity"]
    limits = GateLimits(**body["limits"])
    return Plan(**{**body, "limits": limits, "parity": None if parity is None else Path(parity)})


@dataclass(frozen=True, slots=True)
class Told:
    """Where to say what happens: `step` for progress, `verdict` once there is one."""

    step: Callable[[str], None]
    verdict: Callable[[Verdict], None]
