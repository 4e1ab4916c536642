"""What the gateway's counters say that must be told."""

from __future__ import annotations

import pytest

from monitor.load import Refusals


def after(*steps: tuple[float, float | None]) -> Refusals:
    """Each step: when, and the counter's value then; None: the gateway did not answer."""
    state = Refusals()
    for now, total in steps:
        state = state.missed() if total is None else state.after(total, now)
    return state


@pytest.mark.parametrize(
    ("steps", "now", "told"),
    [
        pytest.param([(0, 0)], 1, None, id="nothing refused"),
        pytest.param([(0, 7)], 1, None, id="what was refused before the first look"),
        pytest.param([(0, None), (10, 7)], 11, "7 requests", id="it started after us"),
        pytest.param([(0, 7), (5, None), (10, 7)], 11, None, id="it was away for a moment"),
        pytest.param([(0, 0), (10, 1)], 11, "1 requests", id="one"),
        pytest.param([(0, 0), (10, 1), (20, 4)], 21, "4 requests", id="one and three more"),
        pytest.param([(0, 0), (10, 1)], 609, "1 requests", id="for ten minutes"),
        pytest.param([(0, 0), (10, 1)], 611, None, id="and no longer"),
        pytest.param([(0, 0), (10, 1), (700, 3)], 701, "2 requests", id="another burst"),
        pytest.param([(0, 5), (10, 0)], 11, None, id="the gateway began anew"),
        pytest.param([(0, 5), (10, 2)], 11, "2 requests", id="and refused again"),
    ],
)
def test_refusals_are_told_of_for_a_while(steps, now, told):
    details = [finding.detail for finding in after(*steps).findings(now)]

    assert [detail.partition(" refused")[0] for detail in details] == ([told] if told else [])
