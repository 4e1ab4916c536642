"""The watchdog itself, the incidents it opened, and whether anybody was told."""

from __future__ import annotations

from grafana.panel import BAD_AT_ONE, HOST, Dashboard, Look, Panel, Query, Row, Unit

_HOST = '{host=~"$host"}'

_WATCHDOG = Row(
    "The watchdog",
    (
        Panel(
            Look.LINES,
            "Age of the heartbeat",
            "A saw of about a second is normal. A line that rises is a watchdog that is dead or"
            " hangs. Alert: RankguardWatchdogStale.",
            Unit.SECONDS,
            (Query(f"time() - rankguard_watchdog_heartbeat_timestamp_seconds{_HOST}", "{{host}}"),),
            least=0.0,
            runbooks=("Watchdog",),
        ),
        Panel(
            Look.LINES,
            "Duration of a round",
            "How long one look at everything takes; well below poll_s.",
            Unit.SECONDS,
            (Query(f"rankguard_watchdog_tick_duration_seconds{_HOST}", "{{host}}"),),
            least=0.0,
        ),
        Panel(
            Look.LINES,
            "Errors of its own",
            "Rounds that raised, writes that journal or verdicts refused, alerts not stored."
            " Alert: RankguardWatchdogErrors.",
            Unit.NONE,
            tuple(
                Query(
                    f"increase(rankguard_watchdog_{what}_errors_total{_HOST}[5m]) > 0",
                    f"{{{{host}}}} {what}",
                )
                for what in ("tick", "journal", "sink", "verdict")
            ),
            none="no errors",
            least=0.0,
            runbooks=("Watchdog",),
        ),
    ),
)

_INCIDENTS = Row(
    "Incidents",
    (
        Panel(
            Look.LINES,
            "Open",
            "Incidents that are open, by name. Each name has a runbook.",
            Unit.NONE,
            (
                Query(
                    f"sum by (host, name) (rankguard_incidents_open{_HOST}) > 0",
                    "{{host}} {{name}}",
                ),
            ),
            none="none is open",
            width=12,
            stacked=True,
            least=0.0,
        ),
        Panel(
            Look.LINES,
            "Opened per hour",
            "New incidents by name; the same name again and again is a cause that nobody mended.",
            Unit.NONE,
            (
                Query(
                    f"sum by (host, name) (increase(rankguard_incidents_total{_HOST}[1h])) > 0",
                    "{{host}} {{name}}",
                ),
            ),
            none="no incidents",
            width=12,
            least=0.0,
        ),
    ),
)

_TOLD = Row(
    "Was anybody told?",
    (
        Panel(
            Look.STAT,
            "Oldest message that waits",
            "The worst receiver of all hosts. Minutes are an outage of that receiver. Alert:"
            " RankguardAlertDeliveryFailing.",
            Unit.SECONDS,
            (Query(f"max(rankguard_alerts_oldest_pending_seconds{_HOST})", "oldest"),),
            width=6,
            steps=((None, "green"), (60.0, "yellow"), (300.0, "red")),
            runbooks=("AlertDeliveryFailing",),
        ),
        Panel(
            Look.STAT,
            "Given up",
            "Messages that a receiver refused for good; kept for a person to see:"
            " `rankguard alerts outbox`.",
            Unit.NONE,
            (Query(f"sum(rankguard_alerts_given_up{_HOST})", "given up"),),
            width=6,
            steps=BAD_AT_ONE,
            runbooks=("AlertDeliveryFailing",),
        ),
        Panel(
            Look.LINES,
            "Waiting",
            "Messages that wait for each receiver.",
            Unit.NONE,
            (Query(f"rankguard_alerts_pending{_HOST}", "{{host}} {{receiver}}"),),
            width=6,
            least=0.0,
        ),
        Panel(
            Look.LINES,
            "Sent and failed tries, per hour",
            "A receiver with tries that fail and nothing sent is down.",
            Unit.NONE,
            (
                Query(
                    f"increase(rankguard_alerts_sent_total{_HOST}[1h])",
                    "{{host}} {{receiver}} sent",
                ),
                Query(
                    f"increase(rankguard_alerts_tries_failed_total{_HOST}[1h])",
                    "{{host}} {{receiver}} failed",
                ),
            ),
            width=6,
            least=0.0,
        ),
    ),
)

_PLACE = Row(
    "The host",
    (
        Panel(
            Look.LINES,
            "CPUs",
            "Share of all CPUs in use, and share of time in which something waited for one.",
            Unit.RATIO,
            (
                Query(f"rankguard_host_cpu_ratio{_HOST}", "{{host}} in use"),
                Query(f"rankguard_host_cpu_pressure_ratio{_HOST}", "{{host}} waits"),
            ),
            least=0.0,
            most=1.0,
            runbooks=("HostStarved",),
        ),
        Panel(
            Look.LINES,
            "Memory in use",
            "Share of the host's memory that could not be given to a new process, and swap."
            " Alert: RankguardMemoryShort.",
            Unit.RATIO,
            (
                Query(
                    f"1 - rankguard_host_memory_available_bytes{_HOST}"
                    f" / rankguard_host_memory_total_bytes{_HOST}",
                    "{{host}}",
                ),
                Query(
                    f"rankguard_host_swap_used_bytes{_HOST}"
                    f" / rankguard_host_memory_total_bytes{_HOST}",
                    "{{host}} swap",
                ),
            ),
            least=0.0,
            runbooks=("HostOomKill",),
        ),
        Panel(
            Look.LINES,
            "Disk in use",
            "Of the disks with state and models. Alerts: RankguardDiskFilling, RankguardDiskFull.",
            Unit.RATIO,
            (
                Query(
                    f"1 - rankguard_host_disk_free_bytes{_HOST}"
                    f" / rankguard_host_disk_total_bytes{_HOST}",
                    "{{host}} {{path}}",
                ),
            ),
            least=0.0,
            most=1.0,
            runbooks=("HostDiskFull",),
        ),
        Panel(
            Look.LINES,
            "Days until certificates expire",
            "Of the addresses in [monitor] certificates; a line that ends is a certificate that is"
            " not valid. Alerts: RankguardCertificateExpiring, RankguardCertificateInvalid.",
            Unit.NONE,
            (
                Query(
                    f"(rankguard_certificate_expiry_timestamp_seconds{_HOST} - time()) / 86400",
                    "{{host}} {{target}}",
                ),
                Query(f"rankguard_certificate_valid{_HOST} == 0", "{{host}} {{target}} invalid"),
            ),
        ),
        Panel(
            Look.LINES,
            "Replicas: wanted and in traffic",
            "What scaling asks for against what takes traffic.",
            Unit.NONE,
            (
                Query(f"rankguard_replicas_wanted{_HOST}", "{{host}} wanted"),
                Query(
                    "sum by (host) (rankguard_replica_routable"
                    '{job="rankguard-watchdog", host=~"$host"})',
                    "{{host}} in traffic",
                ),
            ),
            least=0.0,
        ),
        Panel(
            Look.LINES,
            "Open files of the watchdog",
            "A line that only rises is a leak.",
            Unit.NONE,
            (Query(f"rankguard_watchdog_open_files{_HOST}", "{{host}}"),),
            least=0.0,
        ),
        Panel(
            Look.LINES,
            "Observations dropped",
            "What came while the loop was too far behind; anything above 0 is an overloaded host."
            " Lines of the log are dropped when nobody takes them from standard error.",
            Unit.NONE,
            (
                Query(
                    f"increase(rankguard_watchdog_dropped_observations_total{_HOST}[5m])",
                    "{{host}}",
                ),
                Query(
                    f"increase(rankguard_watchdog_dropped_log_lines_total{_HOST}[5m])",
                    "{{host}} log lines",
                ),
            ),
            least=0.0,
        ),
    ),
)

DELIVERY = Dashboard(
    "rankguard-delivery",
    "rankguard / Watchdog and alerts",
    "Is the watchdog itself well, what did it find, and was it told.",
    (HOST,),
    (_WATCHDOG, _INCIDENTS, _TOLD, _PLACE),
)
