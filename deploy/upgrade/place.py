"""Where the shadow runs: on which card, or on none. PURE."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Place:
    """A card, or none; `problem`: why there is no place."""

    gpu_uuid: str | None = None
    problem: str = ""


def choose(
    kind: str,
    gpus: Sequence[Mapping[str, Any]],
    replicas: Sequence[Mapping[str, Any]],
    *,
    wanted: str,
    taken: str,
) -> Place:
    """The card for a shadow of this engine.

    Args:
        kind: the engine's, resolved.
        gpus, replicas: as `/status` has them.
        wanted: a card that an operator named; empty: any.
        taken: the replica that was drained for it; its card is free. Empty: none was.
    """
    if kind != "vllm" or not gpus:
        return Place()
    if wanted:
        known = {str(card["uuid"]) for card in gpus}
        return Place(wanted) if wanted in known else Place(problem=f"there is no card {wanted}")
    for one in replicas:
        if taken and one["id"] == taken:
            return Place(one.get("gpu_uuid"))
    used = {one.get("gpu_uuid") for one in replicas}
    for card in gpus:
        free = card["uuid"] not in used and not card["cordoned"] and not card["fault"]
        if free and card["state"] != "lost":
            return Place(str(card["uuid"]))
    return Place(
        problem="every card has a replica; --take REPLICA lends its card for the trial, --gpu UUID"
        " puts the new version beside one (lower gpu_memory_utilization for both then)"
    )
