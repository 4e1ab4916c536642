"""All rules of one configuration, each expression checked against the metric tables."""

from __future__ import annotations

from collections.abc import Iterator

from deploy.config import Config
from deploy.render.rules.gateway import gateway
from deploy.render.rules.gpu import gpu
from deploy.render.rules.host import delivery, host
from deploy.render.rules.model import AlertRule, Group
from deploy.render.rules.objectives import Objectives, objectives
from deploy.render.rules.watchdog import canary, replicas, watchdog
from grafana.catalogue import checked
from monitor.settings import MonitorSettings


def rule_book(config: Config) -> tuple[Group, ...]:
    """Groups in the order in which people look: is it up, right, fast, and why not.

    Raises:
        grafana.catalogue.UnknownMetric: a rule reads what nobody exports.
    """
    groups = (
        objectives(_promised(config.monitor)),
        gateway(config.service),
        watchdog(config.monitor),
        replicas(config.monitor),
        canary(config.monitor),
        gpu(config.monitor),
        host(),
        delivery(config.alerts),
    )
    for group in groups:
        for recording in group.recordings:
            checked(recording.expr)
        for alert in group.alerts:
            checked(alert.expr)
    return tuple(group for group in groups if group.recordings or group.alerts)


def alert_rules(config: Config) -> Iterator[AlertRule]:
    """Every alert rule, in order."""
    for group in rule_book(config):
        yield from group.alerts


def _promised(monitor: MonitorSettings) -> Objectives:
    return Objectives(monitor.availability_slo, monitor.latency_slo_ms, monitor.latency_slo_share)
