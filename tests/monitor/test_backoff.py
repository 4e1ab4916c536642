from __future__ import annotations

import pytest

from monitor.backoff import BackoffLimits, PastRestart, delay_s, within_window
from monitor.model import Reason


@pytest.mark.parametrize(
    ("failures", "expected"),
    [
        pytest.param(0, 0.0, id="none yet"),
        pytest.param(1, 0.0, id="the first is answered at once"),
        pytest.param(2, 1.0, id="then it waits"),
        pytest.param(5, 8.0, id="longer each time"),
        pytest.param(12, 60.0, id="and never over the bound"),
        pytest.param(100_000, 60.0, id="nor overflows"),
    ],
)
def test_delay(failures, expected):
    assert delay_s(failures, BackoffLimits(), chance=0.5) == expected


def test_jitter_stays_within_its_share():
    limits = BackoffLimits(jitter=0.2)

    assert delay_s(3, limits, chance=0.0) == pytest.approx(1.6)
    assert delay_s(3, limits, chance=1.0) == pytest.approx(2.4)


def test_history_is_bounded():
    past = [PastRestart(float(n), Reason.KILLED) for n in range(1000)]

    assert len(within_window(past, BackoffLimits(window_s=1e9), 1000.0)) == 50
    assert within_window(past, BackoffLimits(window_s=10), 2000.0) == ()
