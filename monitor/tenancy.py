"""PURE: who holds a card's memory: a replica, an orphan of ours, or a stranger.

A process that is a replica's own leaves when the replica does. An orphan of ours is ended. With a
stranger, and with memory that no process accounts for, replicas go elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from monitor.gpu import CardSample, Field
from monitor.model import Unavailable


class Owner(str, Enum):
    """Whose process it is."""

    REPLICA = "replica"
    ORPHAN = "orphan"
    STRANGER = "stranger"


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


def tenancy(sample: CardSample, owner_of: OwnerOf) -> Tenancy:
    """Who holds what; nothing where the driver does not list processes."""
    if isinstance(sample.processes, Unavailable):
        return Tenancy()
    holders = tuple(Holder(one.pid, one.used_bytes, *owner_of(one.pid)) for one in sample.processes)
    used = sample.number(Field.MEMORY_USED)
    if used is None or any(one.used_bytes is None for one in holders):
        return Tenancy(holders)
    known = sum(one.used_bytes or 0 for one in holders)
    return Tenancy(holders, max(0, int(used) - known))
