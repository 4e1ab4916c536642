"""`kill -9` at every step and at random moments: nothing is lost, doubles carry the same key."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from alerts.pipeline import Pipeline
from tests.alerts import crash
from tests.alerts.crash_child import settings_for
from tests.alerts.vendor import playing


@pytest.mark.parametrize(
    ("when", "times"),
    [("after record", 1), ("after plan", 1), ("before send", 1), ("after send", 2)],
)
def test_a_process_that_dies_at_a_step_loses_nothing(when, times, tmp_path):
    database = tmp_path / "journal.db"
    with playing() as vendor:
        died = subprocess.run(
            [sys.executable, "-m", "tests.alerts.crash_child", when, str(database), vendor.url()],
            check=False,
            timeout=60,
        )
        assert died.returncode == -signal.SIGKILL

        after = Pipeline(settings_for(vendor.url()), database, host="gpu-1")
        after.plan_once()
        after.deliver_once()
        after.stop(5)

        assert len(vendor.got) == times
        assert len({request.headers["idempotency-key"] for request in vendor.got}) == 1


@pytest.mark.slow
def test_kills_at_random_moments_lose_nothing_and_keep_the_order(tmp_path):
    found = crash.run(tmp_path, kills=12)

    assert found.accepted > 100
    assert found.lost == 0
    assert found.doubles_with_another_key == 0
    assert found.resolved_before_firing == 0
