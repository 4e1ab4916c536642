"""Prometheus: what to scrape, what to compute, when to alert."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from deploy.config import Config
from deploy.render.artefact import Artefact
from deploy.render.host import Site, Target, targets
from deploy.render.rules.book import rule_book
from deploy.render.rules.model import AlertRule, Group
from deploy.render.template import fill
from grafana.catalogue import Job

ALERTMANAGER = "127.0.0.1:9093"
RULES_FILE = "rankguard.rules.yml"
SCRAPE_S = 5


def prometheus(config: Config, site: Site) -> list[Artefact]:
    """Scrape configuration and rules."""
    return [
        Artefact("prometheus.yml", scrape_file(config, site)),
        Artefact(RULES_FILE, rules_file(config)),
    ]


def scrape_file(
    config: Config,
    site: Site,
    *,
    alertmanager: str = ALERTMANAGER,
    hosts: Sequence[Target] = (),
) -> str:
    """What to scrape: every host of the site, or `hosts` where other names lead there."""
    jobs = ((Job.GATEWAY.value, config.service.port), (Job.WATCHDOG.value, config.monitor.port))
    return fill(
        "prometheus/prometheus.yml",
        scrape_s=SCRAPE_S,
        timeout_s=SCRAPE_S - 1,
        alertmanager=alertmanager,
        jobs=jobs,
        targets=hosts or targets(site),
    )


def rules_file(config: Config) -> str:
    """All rules as YAML."""
    return rules_text(config, rule_book(config))


def rules_text(config: Config, groups: Iterable[Group]) -> str:
    """Some groups as YAML."""

    def runbook(rule: AlertRule) -> str:
        return runbook_url(config, rule)

    return fill("prometheus/rankguard.rules.yml", groups=groups, runbook=runbook)


def runbook_url(config: Config, rule: AlertRule) -> str:
    """Where the runbook is served, or nothing when no base is configured."""
    base = config.alerts.runbook_url
    if not rule.same_as or not base:
        return ""
    return f"{base.rstrip('/')}/{rule.same_as}.md"
