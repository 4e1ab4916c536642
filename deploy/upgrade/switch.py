"""Telling the watchdog to roll a version out, and following it to the end."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from deploy.client import Refused, Unreachable
from deploy.upgrade.record import Record
from deploy.upgrade.watched import Watchdog

_POLL_S = 0.3
_GONE_S = 60.0
"""A watchdog that restarts is back by then."""


class SwitchError(Exception):
    """The rollout cannot be seen; says why and what is known."""


class NotTaken(SwitchError):
    """The watchdog refused: nothing was begun."""


def ask(watchdog: Watchdog, record: Record) -> None:
    """Ask for the rollout of this upgrade; one that was asked for already is left alone.

    Raises:
        NotTaken: the watchdog refuses.
        SwitchError: it does not answer; it may have taken it, or may not.
    """
    body = {
        "id": record.id,
        "version": record.id,
        "fingerprint": record.new.get("fingerprint", ""),
        "limit_s": record.limit_s,
        "surge": record.surge,
    }
    try:
        known = watchdog.rollout()
        if known is None or known["id"] != record.id:
            watchdog.order("rollout", body)
    except Refused as error:
        raise NotTaken(f"the watchdog did not take it: {error}") from None
    except Unreachable as error:
        raise SwitchError(
            f"it is not known whether the watchdog took it: {error}; rankguard upgrade --resume"
        ) from None


def follow(watchdog: Watchdog, name: str, tell: Callable[[str], None]) -> dict[str, Any]:
    """The rollout of this name once it has ended; it goes on whether it is followed or not.

    Raises:
        SwitchError: the watchdog is gone for a minute, or does not know of it.
    """
    seen = time.monotonic()
    while time.monotonic() - seen < _GONE_S:
        try:
            rollout = watchdog.rollout()
        except Unreachable as error:
            tell(f"waiting for the watchdog: {error}")
            time.sleep(_POLL_S)
            continue
        if rollout is not None and rollout["id"] == name:
            seen = time.monotonic()
            if not rollout["active"]:
                return rollout
            tell(words(rollout))
        time.sleep(_POLL_S)
    raise SwitchError(
        f"the watchdog does not answer, or does not know of {name}: rankguard upgrade --resume"
    )


def words(rollout: dict[str, Any]) -> str:
    """One line on how far it is."""
    what = {"rolling": "rolling out", "going_back": "going back"}.get(
        rollout["stage"], str(rollout["stage"]).replace("_", " ")
    )
    turn = rollout.get("current") or rollout.get("surge")
    who = f", {turn}'s turn" if turn else ""
    detail = f" ({rollout['detail']})" if rollout.get("detail") else ""
    return f"{what}{who}: {str(rollout['reason']).replace('_', ' ')}{detail}"
