"""What the dead man's switch goes by: the loop itself, and not the process around it."""

from __future__ import annotations

import time

import pytest

from monitor.latest import Latest
from monitor.snapshot import Snapshot


@pytest.mark.parametrize(
    ("age_s", "alive"),
    [
        pytest.param(None, False, id="the loop did not run yet"),
        pytest.param(1.0, True, id="it ran a moment ago"),
        pytest.param(60.0, False, id="it stands still"),
    ],
)
def test_the_heartbeat_stops_when_the_loop_does(age_s, alive):
    latest = Latest()
    if age_s is not None:
        latest.publish(Snapshot(at=time.time() - age_s, started_at=0.0))

    assert latest.alive() is alive
