"""Where an upgrade stands and what can be done: from its record and the rollout. PURE."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any


class Stand(str, Enum):
    """Where it stands."""

    NONE = "none"
    TRYING = "trying"
    INTERRUPTED = "interrupted"
    REFUSED = "refused"
    PROVED = "proved"
    CANCELLED = "cancelled"
    ASKED = "asked"
    ROLLING = "rolling"
    GOING_BACK = "going_back"
    DONE = "done"
    WENT_BACK = "went_back"
    FAILED = "failed"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Standing:
    """One word, one sentence, and what `--resume` and `--rollback` would do."""

    stand: Stand
    words: str
    resume: str = ""
    rollback: str = ""


_WORDS: Mapping[Stand, tuple[str, str, str]] = {
    Stand.NONE: ("no upgrade was made here", "", ""),
    Stand.TRYING: ("it is being tried beside the old version; nothing is changed yet", "", ""),
    Stand.INTERRUPTED: (
        "it was interrupted while it was tried; nothing was changed",
        "tries it again",
        "forgets it",
    ),
    Stand.REFUSED: ("it did not pass; nothing was changed", "", ""),
    Stand.PROVED: (
        "it passed, and was not switched to; nothing was changed",
        "switches to it",
        "forgets it",
    ),
    Stand.CANCELLED: ("it was given up; nothing was changed", "", ""),
    Stand.ASKED: (
        "it passed, and the watchdog was not told yet; nothing was changed",
        "tells it",
        "forgets it",
    ),
    Stand.ROLLING: (
        "replicas restart with it, one at a time; the watchdog goes on by itself",
        "follows it",
        "turns it back",
    ),
    Stand.GOING_BACK: (
        "the old version comes back, one replica at a time; the watchdog goes on by itself",
        "follows it",
        "",
    ),
    Stand.DONE: ("every replica runs it", "", "brings the old version back"),
    Stand.WENT_BACK: ("it was taken back; the old version serves", "", ""),
    Stand.FAILED: (
        "it stopped half-way: replicas may be of two versions",
        "",
        "brings the old version back",
    ),
    Stand.STOPPED: (
        "an operator stopped it half-way: replicas may be of two versions",
        "",
        "brings the old version back",
    ),
}


def stand(
    phase: str | None,
    name: str,
    rollout: Mapping[str, Any] | None,
    *,
    attended: bool,
    installed: bool | None = None,
) -> Standing:
    """Where the upgrade of this name stands.

    Args:
        phase: of its record; None when there is none.
        rollout: the watchdog's present or last one; None when it has none, or is not there.
        attended: the command that works on it lives.
        installed: its version is in force; None: the watchdog never installed it.
    """
    found = _stand(phase, name, rollout, attended=attended, installed=installed)
    words, resume, rollback = _WORDS[found]
    return Standing(found, words, resume, rollback)


def _stand(
    phase: str | None,
    name: str,
    rollout: Mapping[str, Any] | None,
    *,
    attended: bool,
    installed: bool | None,
) -> Stand:
    if phase is None:
        return Stand.NONE
    if phase == "trying":
        return Stand.TRYING if attended else Stand.INTERRUPTED
    # the watchdog knows best: it may have taken an order whose answer was lost
    if rollout is not None and rollout.get("id") == name:
        return Stand(rollout["stage"])
    if phase in {"refused", "proved", "cancelled"}:
        return Stand(phase)
    return _unwatched(rollout, installed=installed) if phase == "switching" else Stand(phase)


def _unwatched(rollout: Mapping[str, Any] | None, *, installed: bool | None) -> Stand:
    """Where a switch stands of which the watchdog does not tell."""
    if installed is None:
        return Stand.ASKED
    if rollout is None:
        return Stand.ROLLING if installed else Stand.GOING_BACK
    # nobody waited for its end, and another one ran since: that began after this one had ended
    return Stand.DONE if installed else Stand.WENT_BACK
