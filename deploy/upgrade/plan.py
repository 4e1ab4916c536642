"""What an operator asked of an upgrade, who is told of it, and how it says that it cannot be."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

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


@dataclass(frozen=True, slots=True)
class Told:
    """Where to say what happens: `step` for progress, `verdict` once there is one."""

    step: Callable[[str], None]
    verdict: Callable[[Verdict], None]
