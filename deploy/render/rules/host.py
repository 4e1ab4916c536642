"""What may be wrong with the host, and with telling people."""

from __future__ import annotations

from alerts.settings import AlertSettings
from deploy.render.rules.model import AlertRule, Group, Severity
from monitor.host import HostLimits

_TIGHT = 5.0
"""Times the watchdog's own limit: so early the disk's filling up is told, while there is time."""

_RENEW_DAYS = 14
"""Automatic renewal comes 30 days before the end: what is left at 14 was not renewed."""


def host() -> Group:
    """Rules on disk and memory; limits are the watchdog's."""
    limits = HostLimits()
    free = "rankguard_host_disk_free_bytes"
    return Group(
        "rankguard-host",
        alerts=(
            AlertRule(
                name="RankguardDiskFull",
                expr=f"{free} < {limits.disk_free_bytes}",
                severity=Severity.CRITICAL,
                hold="1m",
                summary="{{ $labels.host }}: {{ $value | humanize1024 }}B free on the disk of"
                " {{ $labels.path }}",
                action="Journal and logs stop when it is full. Old incidents and logs below it may"
                " go; keep_logs and keep_incidents bound them.",
                same_as="HostDiskFull",
            ),
            AlertRule(
                name="RankguardDiskFilling",
                expr=f"predict_linear({free}[6h], 86400) < 0\n"
                f"and {free} < {_TIGHT:g} * {limits.disk_free_bytes}",
                severity=Severity.WARNING,
                hold="30m",
                summary="{{ $labels.host }}: the disk of {{ $labels.path }} is full within a day",
                action="See what grows: du -x --max-depth=2 of the path.",
            ),
            AlertRule(
                name="RankguardMemoryShort",
                expr="rankguard_host_memory_available_bytes"
                f" < {limits.memory_ratio:g} * rankguard_host_memory_total_bytes",
                severity=Severity.WARNING,
                hold="2m",
                summary="{{ $labels.host }}: {{ $value | humanize1024 }}B of memory available",
                action="The kernel will kill the largest process next, most often a replica. Fewer"
                " replicas, or a smaller score cache.",
                same_as="HostStarved",
            ),
            AlertRule(
                name="RankguardCertificateExpiring",
                expr="rankguard_certificate_expiry_timestamp_seconds - time()"
                f" < {_RENEW_DAYS} * 86400",
                severity=Severity.WARNING,
                hold="1h",
                summary="{{ $labels.host }}: the certificate of {{ $labels.target }} expires in"
                " {{ $value | humanizeDuration }}",
                action="Renew it, and reload what shows it; automatic renewal did not happen.",
            ),
            AlertRule(
                name="RankguardCertificateInvalid",
                expr="rankguard_certificate_valid == 0",
                severity=Severity.CRITICAL,
                hold="25m",
                summary="{{ $labels.target }} shows no valid certificate to {{ $labels.host }}",
                action="Clients refuse to connect. Expired, another name, an unknown authority, or"
                " nobody listens: openssl s_client -connect says which.",
            ),
        ),
    )


def delivery(settings: AlertSettings) -> Group:
    """Rules on the watchdog's own alerts: when they do not arrive, these come another way."""
    return Group(
        "rankguard-delivery",
        alerts=(
            AlertRule(
                name="RankguardAlertDeliveryFailing",
                expr=f"rankguard_alerts_oldest_pending_seconds > {settings.delivery_failing_s:g}",
                severity=Severity.CRITICAL,
                hold="1m",
                summary="{{ $labels.host }}: an alert waits for receiver {{ $labels.receiver }}"
                " since {{ $value | humanizeDuration }}",
                action="`rankguard alerts outbox` shows what waits and the last error; nothing is"
                " lost, it is sent when the receiver answers.",
                same_as="AlertDeliveryFailing",
            ),
            AlertRule(
                name="RankguardAlertsGivenUp",
                expr="round(delta(rankguard_alerts_given_up[1h])) > 0",
                severity=Severity.WARNING,
                summary="{{ $labels.host }}: receiver {{ $labels.receiver }} refused"
                " {{ $value | humanize }} messages for good",
                action="A refusal does not get better by itself: wrong key, wrong URL, or a body"
                " that it does not take. `rankguard alerts outbox` has its words.",
            ),
        ),
    )
