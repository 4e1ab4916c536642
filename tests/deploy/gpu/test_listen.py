"""Both sources of driver errors: opened, and quiet."""

from __future__ import annotations

import pytest

from deploy.gpu import listen
from deploy.gpu.part import Failed, State
from monitor.gpu import GpuRound


class Nobody:
    """A collector whose driver lists cards; nothing of it is read here."""

    def close(self):
        pass


@pytest.fixture(autouse=True)
def _driver(monkeypatch):
    monkeypatch.setattr(listen, "open_collector", lambda: (Nobody(), GpuRound(0.0, "580")))


def rows(*, registered=True, events=0):
    row = {"index": 0, "registered": registered, "events": events, "error": "why"}
    return lambda seconds: [row]


def test_a_quiet_host_passes_with_or_without_its_kernel_log(tmp_path):
    part = listen.run(path=tmp_path / "kmsg", listen=rows())

    assert part.state is State.PASSED
    assert part.numbers["kmsg_opened"] is False
    assert "cannot be read" in part.why


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        pytest.param(rows(events=1), "while nothing was done", id="an event came"),
        pytest.param(rows(registered=False), "no card gives events: why", id="no events"),
        pytest.param(lambda seconds: [], "no card gives events: no answer", id="no cards"),
    ],
)
def test_an_error_or_a_card_that_gives_no_events_fails(tmp_path, asked, why):
    with pytest.raises(Failed, match=why):
        listen.run(path=tmp_path / "kmsg", listen=asked)
