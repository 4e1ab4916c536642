"""The watchdog itself, the incidents it opened, and whether anybody was told."""

from __future__ import annotations

from grafana.panel import HOST, Dashboard, Look, Panel, Query, Row, Unit

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
            "Rounds that raised, writes that the journal refused, alerts that could not be stored."
            " Alert: RankguardWatchdogErrors.",
            Unit.NONE,
            tuple(
                Query(
                    f"increase(rankguard_watchdog_{what}_errors_total{_HOST}[5m]) > 0",
                    f"{{{{host}}}} {what}",
                )
                for what in ("tick", "journal", "sink")
            ),
            least=0.0,
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
            width=12,
            least=0.0,
        ),
    ),
)

DELIVERY = Dashboard(
    "rankguard-delivery",
    "rankguard / Watchdog and alerts",
    "Is the watchdog itself well, what did it find, and was it told.",
    (HOST,),
    (_WATCHDOG, _INCIDENTS),
)
