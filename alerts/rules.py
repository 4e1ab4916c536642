"""Turns settings into the values that the pure modules work with."""

from __future__ import annotations

from alerts.courier import CourierRules
from alerts.flap import FlapLimits
from alerts.gate import GateLimits
from alerts.grouping import Timing
from alerts.labels import parse_matcher
from alerts.model import Severity
from alerts.plan import Rules
from alerts.quiet import parse_hours
from alerts.receivers import AlertmanagerReceiver, PagerDutyReceiver, Receiver
from alerts.route import Route
from alerts.settings import AlertSettings
from alerts.settings import Route as RouteSettings
from alerts.zone import zone_of


def rules_of(settings: AlertSettings) -> Rules:
    """What the planner goes by."""
    quiet = settings.quiet
    return Rules(
        routes=tuple(routes_of(settings)),
        zone=zone_of(settings.timezone),
        flap=FlapLimits(settings.flap.changes, settings.flap.window_s, settings.flap.quiet_s),
        quiet=parse_hours(quiet.hours, quiet.days) if quiet.hours else None,
        quiet_severities=frozenset(quiet.severity),
        resend_s={
            receiver.name: receiver.resend_s
            for receiver in settings.receivers
            if isinstance(receiver, AlertmanagerReceiver)
        },
        no_digest=frozenset(
            receiver.name
            for receiver in settings.receivers
            if isinstance(receiver, AlertmanagerReceiver | PagerDutyReceiver)
        ),
        receivers=frozenset(receiver.name for receiver in settings.receivers),
    )


def routes_of(settings: AlertSettings) -> list[Route]:
    """The routes; without any, every receiver gets warning and critical."""
    if settings.routes:
        return [_route(route) for route in settings.routes]
    if not settings.receivers:
        return []
    names = tuple(receiver.name for receiver in settings.receivers)
    return [Route(names, severities=frozenset({Severity.CRITICAL, Severity.WARNING}))]


def _route(given: RouteSettings) -> Route:
    return Route(
        receivers=given.receivers,
        severities=frozenset(given.severity),
        matchers=tuple(parse_matcher(text) for text in given.matchers),
        hours=parse_hours(given.hours, given.days) if given.hours else None,
        go_on=given.go_on,
        group_by=given.group_by,
        timing=Timing(given.group_wait_s, given.group_interval_s, given.repeat_interval_s),
        escalate_to=given.escalate_to,
        escalate_after_s=given.escalate_after_s,
    )


def courier_rules_of(receiver: Receiver) -> CourierRules:
    """How one receiver is served."""
    per_minute, burst = receiver.rate
    return CourierRules(
        gate=GateLimits(per_minute=per_minute, burst=burst),
        fallback=receiver.fallback,
        fallback_after_s=receiver.fallback_after_s,
        digest_after_s=receiver.digest_after_s,
    )
