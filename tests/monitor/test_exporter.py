from __future__ import annotations

import re
from dataclasses import replace

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

import service.metrics
from alerts.names import ALERT_NAMES
from monitor.cardbook import CardView
from monitor.cardhealth import CardState, CardVerdict
from monitor.exporter import METRICS, SnapshotCollector
from monitor.gpu import Card, CardSample, Field, GpuRound
from monitor.html import PageRenderer, sparkline
from monitor.journal import Transition
from monitor.metrics import RESTART_CAUSES
from monitor.model import Reason, Unavailable, Why
from monitor.page import overall, status
from monitor.replica import Phase, Replica
from monitor.snapshot import ReplicaView, Snapshot

CARD = Card("GPU-1", 0, "H100", "0000:04:00")
WELL = CardView(
    CARD,
    CardSample(CARD, {Field.TEMPERATURE: 50.0, Field.MIG: Unavailable(Why.NOT_SUPPORTED)}),
    CardVerdict(CardState.OK),
)
LOST = replace(WELL, sample=CardSample(CARD, fault=Unavailable(Why.GPU_LOST)))
SERVING = ReplicaView(Replica("replica-0", phase=Phase.SERVING, routable=True))
SNAPSHOT = Snapshot(
    at=1000.0,
    started_at=900.0,
    replicas=(SERVING,),
    wanted=1,
    cards=(WELL,),
    gpus=GpuRound(1.0, "580", (WELL.sample,)),
)


def scrape(snapshot, now=1000.0):
    registry = CollectorRegistry()
    registry.register(SnapshotCollector(lambda: snapshot, lambda: now))
    return generate_latest(registry).decode()


def value(text, metric, /, **labels):
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name == metric and labels.items() <= sample.labels.items():
                return sample.value
    return None


@pytest.mark.parametrize("family", METRICS, ids=lambda family: family.name)
def test_no_metric_of_the_gateway_has_the_same_name(family):
    """A sum over both would count twice."""
    gateway = {row.name.removesuffix("_total") for row in service.metrics.GATEWAY}

    assert family.name not in gateway


@pytest.mark.parametrize("family", METRICS, ids=lambda family: family.name)
def test_every_metric_has_help_a_prefix_and_a_good_name(family):
    assert family.help
    assert family.kind in {"counter", "gauge"}
    assert re.fullmatch(r"rankguard_[a-z0-9_]+", family.name)
    assert not family.name.endswith("_total")


def test_no_name_is_there_twice():
    assert len({family.name for family in METRICS}) == len(METRICS)


def test_counters_are_there_before_their_first_event():
    text = scrape(SNAPSHOT)

    assert value(text, "rankguard_replica_restarts_total", cause="no_progress") == 0
    assert value(text, "rankguard_canary_runs_total", outcome="wrong") == 0
    assert value(text, "rankguard_gpu_xids_total", xid="79") == 0
    for name in ALERT_NAMES:
        assert value(text, "rankguard_incidents_total", name=name) == 0


def test_every_cause_of_a_restart_is_a_reason():
    assert set(RESTART_CAUSES) <= {reason.value for reason in Reason}


def test_a_card_that_cannot_be_read_leaves_only_its_up():
    assert value(scrape(SNAPSHOT), "rankguard_gpu_temperature_celsius") == 50
    text = scrape(replace(SNAPSHOT, cards=(LOST,)))

    assert value(text, "rankguard_gpu_up", uuid="GPU-1") == 0
    assert value(text, "rankguard_gpu_temperature_celsius") is None


def test_a_reading_that_is_not_supported_has_no_series():
    assert value(scrape(SNAPSHOT), "rankguard_gpu_mig_enabled") is None


def test_a_loop_that_stands_still_shows_its_heartbeat_and_no_old_values():
    text = scrape(SNAPSHOT, now=1100.0)

    assert value(text, "rankguard_watchdog_heartbeat_timestamp_seconds") == 1000.0
    assert value(text, "rankguard_gpu_up") is None
    assert value(text, "rankguard_replica_routable") is None


def test_before_the_first_round_there_is_nothing():
    assert scrape(None) == ""


def test_a_host_without_cards_has_no_card_series():
    text = scrape(replace(SNAPSHOT, cards=(), gpus=None))

    assert value(text, "rankguard_gpu_driver_up") is None
    assert value(text, "rankguard_gpu_up") is None


@pytest.mark.parametrize(
    ("replicas", "state"),
    [
        pytest.param([SERVING, SERVING], "healthy", id="all"),
        pytest.param(
            [SERVING, ReplicaView(Replica("replica-1", phase=Phase.STOPPED))], "degraded", id="some"
        ),
        pytest.param([ReplicaView(Replica("replica-1", phase=Phase.FAILED))], "down", id="none"),
        pytest.param(
            [SERVING, ReplicaView(Replica("replica-1", phase=Phase.DRAINED))],
            "healthy",
            id="one that is drained on purpose does not count",
        ),
        pytest.param(
            [ReplicaView(Replica("replica-1", phase=Phase.STARTING))], "starting", id="not yet"
        ),
    ],
)
def test_the_whole_has_one_word(replicas, state):
    assert overall(replace(SNAPSHOT, replicas=tuple(replicas))) == state


def test_the_status_has_the_promised_shape():
    body = status(SNAPSHOT)

    assert set(body) >= {"state", "replicas", "gpus", "incidents", "watchdog"}
    wanted = "id state reason pid url engine model gpu_uuid generation restarts inflight"
    assert set(body["replicas"][0]) >= set(wanted.split())
    assert body["gpus"][0]["temperature_celsius"] == 50
    assert body["gpus"][0]["unavailable"] == {"mig_enabled": "not_supported"}


def test_the_page_escapes_what_others_wrote_and_loads_nothing_else():
    nasty = "<script>alert(1)</script>"
    change = Transition(1.0, nasty, "a", "b", "restart", detail=nasty)
    text = PageRenderer().render(
        replace(SNAPSHOT, notices=(nasty,), cards=(replace(WELL, utilization=(0.1, 0.9)),)),
        [],
        [change],
        nasty,
    )

    assert "<script" not in text
    assert "polyline" in text
    assert not re.search(r"(?:src|href)=[\"']?(?:https?:)?//", text)
    assert "viewport" in text


def test_a_sparkline_stays_in_its_box():
    for values in ((0.0, 0.0), (5.0, 1.0, 9.0), (1e9, 0.0)):
        points = re.search(r'points="([^"]+)"', sparkline(values))[1]
        heights = [float(pair.split(",")[1]) for pair in points.split()]
        assert all(0 <= height <= 24 for height in heights)
    assert sparkline((1.0,)) == ""
