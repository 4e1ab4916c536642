"""PURE: whether a card that needs a reset may be given one now. Off unless an operator wants it.

A reset ends whatever runs on the card, so it is given only to a card on which nothing does; and not
again and again: a card that needs another one soon after is one for a person.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from monitor.cardhealth import CardEvidence, last_action
from monitor.model import Unavailable, Why
from monitor.xid import XidClass, classify

_RESET_ACTIONS = {1, 4}  # field 230: GPU reset, drain and reset; others ask for the host


class Reset(str, Enum):
    """What is decided for one card, and the word for it."""

    NOT_NEEDED = "not_needed"
    NOT_WANTED = "not_wanted"
    SETTLING = "settling"
    REPLICA_ON_IT = "replica_on_it"
    HELD = "held"
    UNKNOWN_HOLDERS = "unknown_holders"
    BUDGET_SPENT = "budget_spent"
    GO = "go"


@dataclass(frozen=True, slots=True)
class ResetLimits:
    """How careful resets are; seconds.

    Attributes:
        wanted: an operator switched them on.
        settle_s: a card must have needed it for so long.
        budget: resets of one card within window_s; across reboots as well.
    """

    wanted: bool = False
    settle_s: float = 10.0
    budget: int = 2
    window_s: float = 86400.0


def needs_reset(evidence: CardEvidence) -> bool:
    """Whether a reset of the card is what driver or XID ask for, and not one of the host."""
    fault = evidence.sample.fault
    if fault is not None:
        return fault.why is Why.NEEDS_RESET
    action = last_action(evidence)
    if action:
        return int(action) in _RESET_ACTIONS
    classes = {classify(event.xid) for event in evidence.condemned}
    return XidClass.RESET_GPU in classes and XidClass.REBOOT_HOST not in classes


def decide(  # noqa: PLR0911 - one return for each rule
    evidence: CardEvidence,
    *,
    needed_for_s: float,
    replicas: int,
    past: Sequence[float],
    limits: ResetLimits,
    now: float,
) -> Reset:
    """What to do about one card.

    Args:
        needed_for_s: how long it is unusable for that reason.
        replicas: those that run on it or are about to.
        past: earlier resets of it, and `now`: Unix seconds, since they count across reboots.
    """
    if not needs_reset(evidence):
        return Reset.NOT_NEEDED
    if not limits.wanted:
        return Reset.NOT_WANTED
    if sum(1 for at in past if now - at < limits.window_s) >= limits.budget:
        return Reset.BUDGET_SPENT
    if needed_for_s < limits.settle_s:
        return Reset.SETTLING
    if replicas:
        return Reset.REPLICA_ON_IT
    # of a card that says nothing but this, the command itself refuses one that is in use
    if isinstance(evidence.sample.processes, Unavailable):
        return Reset.UNKNOWN_HOLDERS
    return Reset.HELD if evidence.sample.processes else Reset.GO
