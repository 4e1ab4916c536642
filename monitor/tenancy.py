"""PURE: who holds a card's memory: a replica, an orphan of ours, or a stranger.

A process that is a replica's own leaves when the replica does. An orphan of ours is ended. With a
stranger, and with memory that no process accounts for, replicas go elsewhere.

The driver's pids are those of the host. In a container with pids of its own it lists none, or such
as mean nothing there: then nothing is said of who holds what, and nobody's memory counts as free.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from monitor.cardhealth import Finding
from monitor.gpu import CardSample, Field
from monitor.model import Unavailable

HELD = "GpuMemoryHeldByStranger"
_MUCH = 0.2  # share of a card's memory that a stranger must hold to be told of


class Owner(str, Enum):
    """Whose process it is."""

    REPLICA = "replica"
    ORPHAN = "orphan"
    STRANGER = "stranger"
    UNSEEN = "unseen"  # no process of this pid namespace


@dataclass(frozen=True, slots=True)
class Holder:
    """A process with memory on a card.

    Attributes:
        used_bytes: None where the driver does not say.
        replica: whose it is; empty for a replica's of the host on which cards were recorded.
    """

    pid: int
    used_bytes: int | None
    owner: Owner
    replica: str = ""


OwnerOf = Callable[[int], tuple[Owner, str]]
"""From a pid to whose it is, and of which replica."""


@dataclass(frozen=True, slots=True)
class Tenancy:
    """All holders of one card at one look.

    Attributes:
        unaccounted_bytes: memory in use that no process has; 0 where that cannot be told.
    """

    holders: tuple[Holder, ...] = ()
    unaccounted_bytes: int = 0

    def of(self, owner: Owner) -> tuple[Holder, ...]:
        return tuple(one for one in self.holders if one.owner is owner)

    @property
    def others_bytes(self) -> int:
        """Of processes that are no replica."""
        return sum(one.used_bytes or 0 for one in self.holders if one.owner is not Owner.REPLICA)


def tenancy(sample: CardSample, owner_of: OwnerOf, *, runs: bool = False) -> Tenancy:
    """Who holds what; nothing where the driver does not list processes.

    Args:
        runs: a replica runs on the card. When no process of its is listed, whoever cannot be seen
            may be its own, and so may memory that nobody has.
    """
    if isinstance(sample.processes, Unavailable):
        return Tenancy()
    holders = tuple(Holder(one.pid, one.used_bytes, *owner_of(one.pid)) for one in sample.processes)
    if runs and not any(one.owner is Owner.REPLICA for one in holders):
        return Tenancy(tuple(one for one in holders if one.owner is not Owner.UNSEEN))
    used = sample.number(Field.MEMORY_USED)
    if used is None or any(one.used_bytes is None for one in holders):
        return Tenancy(holders)
    known = sum(one.used_bytes or 0 for one in holders)
    return Tenancy(holders, max(0, int(used) - known))


def find_strangers(found: Tenancy, total: float | None) -> Finding | None:
    """Whether somebody who is no replica holds much of a card, and in words who."""
    if not total:
        return None
    others = [one for one in found.holders if one.owner is not Owner.REPLICA]
    share = found.others_bytes / total
    if share >= _MUCH:
        pids = ", ".join(str(one.pid) for one in others[:5])
        detail = f"{share:.0%} of its memory is held by pid {pids}"
        return Finding(HELD, "held_by_process", detail)
    share = found.unaccounted_bytes / total
    if share >= _MUCH:
        return Finding(HELD, "held_by_nobody", f"{share:.0%} of its memory is held by no process")
    return None


def free_ratio(
    sample: CardSample, found: Tenancy, has_ended: Callable[[Holder], bool]
) -> float | None:
    """Share of the card's memory that a replica could have, 0 to 1; None where it is not known.

    Args:
        has_ended: whether this process of a replica's is gone since the card was looked at.
    """
    total = sample.number(Field.MEMORY_TOTAL)
    used = sample.number(Field.MEMORY_USED)
    if not total or used is None:
        return None
    used -= sum(one.used_bytes or 0 for one in found.of(Owner.REPLICA) if has_ended(one))
    return max(0.0, min(1.0, 1.0 - used / total))
