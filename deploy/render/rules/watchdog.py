"""What may be wrong with the watchdog, the replicas and the canary."""

from __future__ import annotations

from deploy.render.rules.model import AlertRule, Group, Severity, duration
from monitor.settings import MonitorSettings

_LEAST_SILENCE_S = 15.0
_MISSED_TICKS = 10.0
_MISSED_CANARIES = 10.0


def watchdog(monitor: MonitorSettings) -> Group:
    """Rules on the watchdog itself: it reports everything else, so who reports it?"""
    silence_s = max(_LEAST_SILENCE_S, _MISSED_TICKS * monitor.poll_s)
    errors = " or ".join(
        f"increase(rankguard_watchdog_{what}_errors_total[10m]) > 0"
        for what in ("tick", "journal", "sink", "verdict")
    )
    return Group(
        "rankguard-watchdog",
        alerts=(
            AlertRule(
                name="RankguardWatchdogDown",
                expr='up{job="rankguard-watchdog"} == 0',
                severity=Severity.CRITICAL,
                hold="1m",
                summary="{{ $labels.host }}: the watchdog does not answer; replicas go on serving,"
                " but nobody mends them",
                action="systemctl status rankguard-watchdog, then its journal. Requests are not"
                " affected until a replica fails.",
            ),
            AlertRule(
                name="RankguardWatchdogStale",
                expr=f"time() - rankguard_watchdog_heartbeat_timestamp_seconds > {silence_s:g}",
                severity=Severity.CRITICAL,
                hold="30s",
                summary="{{ $labels.host }}: the watchdog's loop stands still since"
                " {{ $value | humanizeDuration }}",
                action="It answers scrapes and does nothing else. systemd should have restarted it;"
                " do it by hand and keep its journal. Check the host's clock as well.",
            ),
            AlertRule(
                name="RankguardWatchdogErrors",
                expr=errors,
                severity=Severity.WARNING,
                hold="5m",
                summary="{{ $labels.host }}: the watchdog fails at its own work (a round, the"
                " journal, a verdict, or handing over alerts)",
                action="Its log says what raised. A journal that cannot be written is most often a"
                " full or read-only disk below state_dir.",
            ),
            AlertRule(
                name="RankguardDeadMansSwitch",
                expr="vector(1)",
                severity=Severity.NONE,
                summary="Always firing: silence means that Prometheus or Alertmanager is dead",
                action="Route it to a service that alerts when it stops coming.",
            ),
        ),
    )


def replicas(monitor: MonitorSettings) -> Group:
    """Rules on replicas; the watchdog tells them first, these also when its own sending fails."""
    least, _ = monitor.bounds()
    window = duration(monitor.restart_window_s)
    alerts = [
        AlertRule(
            name="RankguardReplicaDown",
            expr='max by (host, replica) (rankguard_replica_health{health=~"dead|hung|lost"}) == 1',
            severity=Severity.CRITICAL,
            hold="2m",
            summary="{{ $labels.host }}: {{ $labels.replica }} is down for two minutes and was not"
            " brought back",
            action="`rankguard incidents` tells what was tried; the evidence is below incidents/ in"
            " the state directory.",
            same_as="ReplicaDead",
            about=("replica",),
        ),
        AlertRule(
            name="RankguardReplicasMissing",
            # a sum over nothing is no value: a watchdog that answers and has none has 0
            expr='(sum by (host) (rankguard_replica_routable{job="rankguard-watchdog"})'
            ' or 0 * max by (host) (up{job="rankguard-watchdog"} == 1))'
            f" < {least}",
            severity=Severity.WARNING,
            hold="5m",
            summary="{{ $labels.host }}: {{ $value }} replicas take traffic, at least"
            f" {least} should",
            action="`rankguard status` shows each replica's state and reason.",
        ),
        AlertRule(
            name="RankguardReplicaCrashLoop",
            expr="sum by (host, replica) (increase(rankguard_replica_restarts_total"
            f"[{window}])) >= {monitor.restart_budget}",
            severity=Severity.CRITICAL,
            summary="{{ $labels.host }}: {{ $labels.replica }} was restarted"
            f" {{{{ $value | humanize }}}} times in {window}; its budget is spent",
            action="Restarting does not help: the last lines of its log name the cause.",
            same_as="ReplicaCrashLoop",
            about=("replica",),
        ),
    ]
    return Group("rankguard-replicas", alerts=tuple(alerts))


def canary(monitor: MonitorSettings) -> Group:
    """Rules on the known pairs: is it right, and are we still asking."""
    period_s = monitor.canary_s
    look = duration(max(300.0, _MISSED_CANARIES * period_s))
    runs = f"sum by (host, replica) (increase(rankguard_canary_runs_total[{look}]))"
    routable = 'max by (host, replica) (rankguard_replica_routable{job="rankguard-watchdog"})'
    if monitor.canary == "off":
        return Group("rankguard-canary")
    return Group(
        "rankguard-canary",
        alerts=(
            AlertRule(
                name="RankguardCanaryWrong",
                expr="sum by (host, replica) (increase(rankguard_canary_runs_total"
                f'{{outcome="wrong"}}[{look}])) > 1',
                severity=Severity.CRITICAL,
                summary="{{ $labels.host }}: {{ $labels.replica }} ranks known pairs wrongly or its"
                " scores drifted",
                action="Do not trust its scores. The watchdog takes it out of traffic and restarts"
                " it; if it comes back wrong, suspect the card (ECC) or the model files.",
                same_as="ReplicaWrong",
                about=("replica",),
            ),
            AlertRule(
                name="RankguardCanaryMissing",
                # not `== 0`: a series that is missing is none at all
                expr=f"{routable} == 1 unless {runs} > 0",
                severity=Severity.WARNING,
                # the first run comes with the replica and is no increase yet
                hold=duration(max(60.0, 2 * period_s)),
                summary="{{ $labels.host }}: no canary ran on {{ $labels.replica }} for"
                f" {look}, although it takes traffic",
                action="Nobody checks whether its scores are right: read the watchdog's log.",
            ),
        ),
    )
