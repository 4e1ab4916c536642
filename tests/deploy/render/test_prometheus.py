from __future__ import annotations

import json
import re
import shutil
import subprocess

import pytest

from deploy.render.artefact import write
from deploy.render.kind import Kind, render
from deploy.render.prometheus import rules_file, rules_text, scrape_file
from deploy.render.rules.book import alert_rules, rule_book
from deploy.render.rules.objectives import latency_bound
from grafana.catalogue import UnknownMetric, checked
from tests.deploy.render.golden import RACK, config
from tests.deploy.render.rule_cases import CASES


def expr(name, **sections):
    return next(rule.expr for rule in alert_rules(config(**sections)) if rule.name == name)


@pytest.mark.parametrize(
    ("name", "sections", "expected"),
    [
        pytest.param(
            "RankguardReplicaCrashLoop",
            {"monitor": {"restart_budget": 9, "restart_window_s": 120}},
            r"\[120s\].* >= 9",
            id="the watchdog's restart budget and its window",
        ),
        pytest.param(
            "RankguardQueueSaturated",
            {"service": {"max_waiting_tokens": 5000}},
            r"> 0.8 \* 5000",
            id="the gateway's admission limit",
        ),
        pytest.param(
            "RankguardReplicasMissing",
            {"monitor": {"min_replicas": 3, "max_replicas": 8}},
            r"< 3",
            id="the lower bound of scaling",
        ),
        pytest.param(
            "RankguardWatchdogStale",
            {"monitor": {"poll_s": 10}},
            r"> 100",
            id="ten rounds of a slow watchdog",
        ),
        pytest.param(
            "RankguardCanaryMissing",
            {"monitor": {"canary_s": 120}},
            r"\[1200s\]",
            id="ten canary periods",
        ),
        pytest.param(
            "RankguardErrorBudgetBurnFast",
            {"monitor": {"availability_slo": 0.99}},
            r"> 14\.4 \* 0\.01\n",
            id="the availability objective",
        ),
        pytest.param(
            "RankguardLatencyBudgetBurnFast",
            {"monitor": {"latency_slo_share": 0.9}},
            r"> 14\.4 \* 0\.1\n",
            id="the share of requests within the latency objective",
        ),
    ],
)
def test_a_threshold_follows_the_setting_that_the_processes_use(name, sections, expected):
    assert re.search(expected, expr(name, **sections))


@pytest.mark.parametrize(
    ("slo_ms", "bound"),
    [
        pytest.param(380.0, 0.38, id="the default is a bucket of its own"),
        pytest.param(400.0, 0.5, id="between two buckets: the next one, so nobody is blamed"),
        pytest.param(60_000.0, 30.0, id="beyond the last bucket"),
    ],
)
def test_the_latency_objective_is_judged_by_the_next_bucket(slo_ms, bound):
    assert latency_bound(slo_ms) == bound


def test_without_a_canary_there_are_no_rules_on_it():
    names = {rule.name for rule in alert_rules(config(monitor={"canary": "off"}))}

    assert not {name for name in names if "Canary" in name}


def test_a_rule_on_a_metric_that_nobody_exports_is_refused():
    with pytest.raises(UnknownMetric, match="rankguard_request_total"):
        checked("rate(rankguard_request_total[5m])")


def test_a_rule_on_a_label_that_the_metric_does_not_have_is_refused():
    with pytest.raises(UnknownMetric, match="code"):
        checked('rankguard_requests_total{code="500"}')


def test_every_host_is_scraped_by_its_own_name():
    text = scrape_file(config(), RACK)

    for host in RACK.hosts:
        assert f'targets: ["{host}:8000"]' in text
        assert f'targets: ["{host}:9400"]' in text
        assert text.count(f'host: "{host}"') == 2


def test_every_alert_says_what_to_do_in_words():
    for rule in alert_rules(config()):
        assert rule.summary
        assert rule.action.endswith(".")
        assert "$labels.host" in rule.summary or rule.name == "RankguardDeadMansSwitch"


def test_an_alert_with_a_runbook_links_it():
    text = rules_file(config(alerts={"runbook_url": "https://wiki.example.com/runbooks/"}))

    assert 'runbook_url: "https://wiki.example.com/runbooks/ReplicaDead.md"' in text


def test_every_recorded_series_that_is_used_is_recorded():
    recorded, used = set(), set()
    for group in rule_book(config()):
        for item in (*group.recordings, *group.alerts):
            used |= set(re.findall(r"\brankguard:[a-z0-9_:]+", item.expr))
        recorded |= {recording.name for recording in group.recordings}

    assert used <= recorded


def test_every_alert_rule_has_a_case_that_fires_and_one_that_does_not():
    assert {rule.name for rule in alert_rules(config())} == set(CASES)


@pytest.mark.real
def test_promtool_takes_the_files(tmp_path):
    _promtool()
    write(render(Kind.PROMETHEUS, config(), RACK), tmp_path)

    done = _run("promtool", "check", "config", str(tmp_path / "prometheus.yml"))

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.real
@pytest.mark.timeout(400)
def test_every_rule_fires_when_it_should_and_only_then(tmp_path):
    _promtool()
    files = []
    for group in rule_book(config()):  # each with its own cases: no case pays for all rules
        rules, cases = tmp_path / f"{group.name}.rules", tmp_path / f"{group.name}.cases"
        rules.write_text(rules_text(config(), [group]))
        body = {"rule_files": [rules.name], "evaluation_interval": "30s", "tests": _cases(group)}
        cases.write_text(json.dumps(body))  # JSON is YAML
        files.append(str(cases))

    done = _run("promtool", "test", "rules", *files)

    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]


def _cases(group):
    return [
        _case(rule.name, kind, case)
        for rule in group.alerts
        for kind, case in CASES[rule.name].items()
        if case is not None
    ]


def _case(name, kind, case):
    series, minute = case
    firing = f'count(ALERTS{{alertname="{name}", alertstate="firing"}}) or vector(0)'
    return {
        "name": f"{name} {kind}",
        "interval": "1m",
        "input_series": [{"series": text, "values": values} for text, values in series],
        "promql_expr_test": [
            {
                "expr": firing,
                "eval_time": f"{minute}m",
                "exp_samples": [{"labels": "{}", "value": int(kind.startswith("fires"))}],
            }
        ],
    }


def _promtool():
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not here (apt package prometheus)")


def _run(*command):
    return subprocess.run(command, capture_output=True, text=True, timeout=360, check=False)


def test_an_alert_on_a_card_names_it_as_the_watchdogs_own_alert_does():
    text = rules_file(config())

    for rule in alert_rules(config()):
        if rule.about == ("gpu_uuid",):
            body = text.split(f"alert: {rule.name}\n")[1].split("- alert:")[0]
            assert 'gpu_uuid: "{{ $labels.uuid }}"' in body
