from __future__ import annotations

import shutil
import subprocess

import pytest

from deploy.render.alertmanager import alertmanager
from deploy.render.artefact import write
from deploy.render.host import Site
from deploy.render.rules.book import alert_rules
from tests.deploy.render.golden import config

EVERY_KIND = [
    {"name": "hook", "type": "webhook", "url": "https://alerts.example.com/hook"},
    {"name": "slack", "type": "slack", "url_file": "/etc/rankguard/slack"},
    {"name": "pager", "type": "pagerduty", "routing_key_file": "/etc/rankguard/pager"},
    {"name": "feishu", "type": "feishu", "url_file": "/etc/rankguard/feishu"},
    {"name": "am", "type": "alertmanager", "urls": ["https://am.example.com"]},
]


def rendered(receivers, routes=()):
    settings = config(alerts={"receivers": receivers, "routes": list(routes)})
    return alertmanager(settings, Site())[0].text


def test_a_secret_stays_in_its_file():
    text = rendered(EVERY_KIND)

    assert 'api_url_file: "/etc/rankguard/slack"' in text
    assert 'routing_key_file: "/etc/rankguard/pager"' in text


def test_a_receiver_that_alertmanager_does_not_know_is_named_with_the_reason():
    text = rendered(EVERY_KIND)

    assert "# receiver feishu is not here: Alertmanager does not speak feishu" in text
    assert "# receiver am is not here: it is Alertmanager itself" in text


def test_every_route_goes_to_all_its_receivers():
    text = rendered(EVERY_KIND, [{"severity": ["critical"], "receivers": ["hook", "pager"]}])

    first, second = text.split('matchers: [severity=~"critical"]')[1:3]
    assert 'receiver: "hook"\n      continue: true' in first
    assert 'receiver: "pager"' in second
    assert "continue" not in second.split("inhibit_rules")[0]


def test_a_rule_is_quiet_while_the_watchdogs_own_alert_of_the_same_cause_fires():
    backups = [rule for rule in alert_rules(config()) if rule.same_as]

    together = rendered(EVERY_KIND)
    apart = rendered(EVERY_KIND[:1])

    for rule in backups:
        assert f'source_matchers: [alertname="{rule.same_as}"]' in together
        assert f'target_matchers: [alertname="{rule.name}"]' in together
    assert f'[alertname="{backups[0].same_as}"]' not in apart  # they do not come to Alertmanager


def test_without_receivers_nobody_is_told_and_the_file_is_still_whole():
    assert 'receiver: "nobody"' in rendered([])


@pytest.mark.real
@pytest.mark.parametrize("receivers", [EVERY_KIND, EVERY_KIND[:1], []], ids=["all", "one", "none"])
def test_amtool_takes_the_file(tmp_path, receivers):
    if shutil.which("amtool") is None:
        pytest.skip("amtool is not here (apt package prometheus-alertmanager)")
    settings = config(alerts={"receivers": receivers})
    (path,) = write(alertmanager(settings, Site()), tmp_path)

    done = subprocess.run(
        ["amtool", "check-config", str(path)],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
