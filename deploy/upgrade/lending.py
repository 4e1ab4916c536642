"""A replica that lends its card to the trial; it comes back, whatever becomes of the command."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from deploy.client import Unreachable
from deploy.upgrade.plan import UpgradeError
from deploy.upgrade.watched import Watchdog, serving

_DRAIN_S = 120.0
_POLL_S = 0.2


@contextmanager
def lent(
    watchdog: Watchdog,
    state_dir: Path,
    replica: str,
    *,
    for_s: float,
    tell: Callable[[str], None],
) -> Iterator[None]:
    """Drain the replica for as long as the block runs.

    Args:
        replica: its name; empty: none is needed.
        for_s: after so long the watchdog brings it back by itself, should this process die.

    Raises:
        UpgradeError: nobody else serves, or it does not drain.
    """
    if not replica:
        yield
        return
    if not any(one.id != replica for one in serving(state_dir)):
        raise UpgradeError(f"nobody but {replica} serves; nothing was changed")
    try:
        # in here: who is interrupted while it is told gives it back as well
        watchdog.told(f"replicas/{replica}/drain", {"for_s": for_s})
        _await_drained(watchdog, replica, tell)
        yield
    finally:
        _give_back(watchdog, replica, tell)


def _give_back(watchdog: Watchdog, replica: str, tell: Callable[[str], None]) -> None:
    """What the trial found counts, whatever becomes of this: the drain has an end of its own."""
    try:
        watchdog.order(f"replicas/{replica}/undrain")
    except Unreachable as error:
        tell(f"{replica} comes back by itself, later: it was not given back ({error})")


def _await_drained(watchdog: Watchdog, replica: str, tell: Callable[[str], None]) -> None:
    deadline = time.monotonic() + _DRAIN_S
    while time.monotonic() < deadline:
        tell(f"draining {replica}, whose card the trial takes")
        phases = {one["id"]: one["phase"] for one in watchdog.seen()["replicas"]}
        if phases.get(replica) == "drained":
            return
        time.sleep(_POLL_S)
    raise UpgradeError(f"{replica} did not drain within {_DRAIN_S:.0f} s")
