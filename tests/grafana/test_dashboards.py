from __future__ import annotations

import json
import re

import pytest

from deploy.render.rules.book import rule_book
from grafana.catalogue import UnknownMetric, catalogue, metrics_of
from grafana.dashboards.all import DASHBOARDS
from grafana.panel import Look, Query
from tests.deploy.render.golden import config

SUFFIX = re.compile(r"_(bucket|sum|count)$")
NOT_SHOWN = {
    "rankguard_watchdog_start_timestamp_seconds": "a fact for people, in `rankguard status`",
    "rankguard_replica_generation": "a fact for people, in `rankguard status`",
    "rankguard_watchdog_ticks_total": "the heartbeat says the same",
}


PANELS = [
    pytest.param(panel, id=f"{dashboard.uid}: {panel.title}")
    for dashboard in DASHBOARDS
    for row in dashboard.rows
    for panel in row.panels
]


def queries(panel):
    return [*panel.queries, *([panel.limit] if panel.limit else [])]


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda dashboard: dashboard.uid)
def test_the_committed_json_is_what_the_code_makes(dashboard):
    build = pytest.importorskip("grafana.build", reason="the SDK needs Python 3.11")

    committed = (build.FOLDER / f"{dashboard.uid}.json").read_text()

    assert committed == build.encode(dashboard), "run: python -m grafana.build"


def test_no_json_is_left_from_a_dashboard_that_is_gone():
    build = pytest.importorskip("grafana.build", reason="the SDK needs Python 3.11")

    assert {path.stem for path in build.FOLDER.glob("*.json")} == {d.uid for d in DASHBOARDS}


def test_a_query_on_a_metric_that_was_renamed_breaks_where_it_is_written():
    with pytest.raises(UnknownMetric):
        Query("rate(rankguard_request_total[5m])")


@pytest.mark.parametrize("panel", PANELS)
def test_a_panel_says_what_it_shows_and_fits_the_screen(panel):
    assert len(panel.description) > 20
    assert panel.description.endswith(".")
    assert 1 <= panel.width <= 24


@pytest.mark.parametrize("panel", PANELS)
def test_a_recorded_series_that_a_panel_reads_is_recorded(panel):
    recorded = {item.name for group in rule_book(config()) for item in group.recordings}

    for query in queries(panel):
        assert set(re.findall(r"\brankguard:[a-z0-9_:]+", query.expr)) <= recorded


@pytest.mark.parametrize("panel", PANELS)
def test_a_choice_that_a_query_uses_is_offered(panel):
    offered = {
        variable.name
        for dashboard in DASHBOARDS
        if any(panel in row.panels for row in dashboard.rows)
        for variable in dashboard.variables
    }
    builtin = {"__rate_interval"}

    for query in queries(panel):
        assert set(re.findall(r"\$(\w+)", query.expr)) <= offered | builtin


def test_every_metric_is_shown_somewhere_or_listed_with_the_reason():
    shown = {
        SUFFIX.sub("", name)
        for dashboard in DASHBOARDS
        for row in dashboard.rows
        for panel in row.panels
        for query in queries(panel)
        for name in metrics_of(query.expr)
    }
    ruled = {
        SUFFIX.sub("", name)
        for group in rule_book(config())
        for item in (*group.recordings, *group.alerts)
        for name in metrics_of(item.expr)
    }
    exported = {series.name for series in catalogue()}

    assert exported - shown - ruled == set(NOT_SHOWN)


def test_titles_and_uids_are_unique():
    uids = [dashboard.uid for dashboard in DASHBOARDS]
    titles = [(d.uid, p.title) for d in DASHBOARDS for row in d.rows for p in row.panels]

    assert len(set(uids)) == len(uids)
    assert len(set(titles)) == len(titles)


def test_the_json_names_no_data_source_of_this_machine():
    build = pytest.importorskip("grafana.build", reason="the SDK needs Python 3.11")
    for dashboard in DASHBOARDS:
        body = json.loads(build.encode(dashboard))
        sources = {panel["datasource"]["uid"] for panel in body["panels"] if "targets" in panel}

        assert sources == {"${datasource}"}


def test_every_recorded_series_is_read_by_a_rule_or_a_panel():
    book = rule_book(config())
    recorded = {item.name for group in book for item in group.recordings}
    read = [item.expr for group in book for item in (*group.recordings, *group.alerts)]
    read += [query.expr for parameter in PANELS for query in queries(parameter.values[0])]

    assert recorded == {
        name for text in read for name in re.findall(r"\brankguard:[a-z0-9_:]+", text)
    }


FILTERED = re.compile(r"(> 0|== [01])$")


@pytest.mark.parametrize("panel", PANELS)
def test_a_panel_that_is_empty_when_all_is_well_says_so(panel):
    empty_when_well = all(FILTERED.search(query.expr) for query in panel.queries)

    assert bool(panel.none) == (empty_when_well or panel.look is Look.TABLE)


@pytest.mark.parametrize("panel", PANELS)
def test_a_panel_without_data_does_not_look_like_a_good_one(panel):
    for query in queries(panel):
        assert "vector(0)" not in query.expr


def test_what_an_empty_panel_says_reaches_grafana():
    build = pytest.importorskip("grafana.build", reason="the SDK needs Python 3.11")
    said = {
        panel["title"]: panel["fieldConfig"]["defaults"].get("noValue")
        for dashboard in DASHBOARDS
        for panel in json.loads(build.encode(dashboard))["panels"]
        if "targets" in panel
    }

    assert said["Firing alerts"] == "none"
    assert said["Requests by route"] == "no requests"
