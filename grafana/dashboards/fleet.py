"""One screen that answers: is it up, is it right, is it fast, what broke."""

from __future__ import annotations

from grafana.panel import BAD_AT_ONE, HOST, Dashboard, Look, Panel, Query, Row, Unit, Word

_UP = Row(
    "Is it up?",
    (
        Panel(
            Look.STAT,
            "Hosts ready",
            "Hosts whose gateway has at least one replica that passed its canary.",
            Unit.NONE,
            (Query('sum(rankguard_ready{host=~"$host"})', "ready"),),
            width=4,
            height=5,
            steps=((None, "red"), (1.0, "green")),
        ),
        Panel(
            Look.STAT,
            "Hosts not ready",
            "Hosts on which every request waits until it times out. Alert: RankguardNotReady.",
            Unit.NONE,
            (
                Query(
                    'count(rankguard_ready{host=~"$host"} == 0)'
                    ' or 0 * count(rankguard_ready{host=~"$host"})',
                    "not ready",
                ),
            ),
            width=4,
            height=5,
            steps=BAD_AT_ONE,
            runbooks=("ReplicaCrashLoop", "ReplicaStartFailed"),
        ),
        Panel(
            Look.STAT,
            "Processes that do not answer",
            "Gateways and watchdogs that Prometheus cannot scrape.",
            Unit.NONE,
            (
                Query(
                    'count(up{job=~"rankguard-.*", host=~"$host"} == 0)'
                    ' or 0 * count(up{job=~"rankguard-.*", host=~"$host"})',
                    "down",
                ),
            ),
            width=4,
            height=5,
            steps=BAD_AT_ONE,
            runbooks=("Watchdog",),
        ),
        Panel(
            Look.STAT,
            "Oldest heartbeat",
            "Age of the watchdog's last round, the worst of all hosts. Seconds are normal, a"
            " minute is a dead or hung watchdog. Alert: RankguardWatchdogStale.",
            Unit.SECONDS,
            (
                Query(
                    # the last one of the hour: that of a dead watchdog is not scraped any more
                    "max(time() - last_over_time("
                    'rankguard_watchdog_heartbeat_timestamp_seconds{host=~"$host"}[1h]))',
                    "heartbeat",
                ),
            ),
            width=4,
            height=5,
            steps=((None, "green"), (15.0, "yellow"), (60.0, "red")),
            runbooks=("Watchdog",),
        ),
        Panel(
            Look.STAT,
            "Availability, 1 h",
            "Share of requests without a failure of ours (status below 500).",
            Unit.RATIO,
            (
                Query(
                    '1 - sum(increase(rankguard_requests_total{host=~"$host", status=~"5.."}[1h]))'
                    ' / (sum(increase(rankguard_requests_total{host=~"$host"}[1h])) > 0)',
                    "availability",
                ),
            ),
            width=4,
            height=5,
            steps=((None, "red"), (0.99, "yellow"), (0.999, "green")),
        ),
        Panel(
            Look.STAT,
            "Open incidents",
            "What the watchdog is dealing with now. `rankguard incidents` tells each one's story.",
            Unit.NONE,
            (Query('sum(rankguard_incidents_open{host=~"$host"})', "open"),),
            width=4,
            height=5,
            steps=BAD_AT_ONE,
        ),
        Panel(
            Look.STATES,
            "Replicas",
            "Whether each replica takes traffic, in the watchdog's word. A gap is a watchdog that"
            " says nothing.",
            Unit.NONE,
            (
                Query(
                    'rankguard_replica_routable{job="rankguard-watchdog", host=~"$host"}',
                    "{{host}} {{replica}}",
                ),
            ),
            width=24,
            height=8,
            words=(Word(0, "out", "red"), Word(1, "in traffic", "green")),
        ),
    ),
)

_RIGHT = Row(
    "Is it right?",
    (
        Panel(
            Look.LINES,
            "Canaries that failed, per minute",
            "Known pairs that came back in the wrong order, drifted, or not at all."
            " Alert: RankguardCanaryWrong.",
            Unit.NONE,
            (
                Query(
                    "sum by (host, replica, outcome) (rate(rankguard_canary_runs_total"
                    '{host=~"$host", outcome!="passed"}[$__rate_interval])) * 60',
                    "{{host}} {{replica}} {{outcome}}",
                ),
            ),
            width=12,
            runbooks=("ReplicaWrong",),
        ),
        Panel(
            Look.LINES,
            "Documents without a true score",
            "Share of documents that did not fit whole, and of those that got no score at all.",
            Unit.RATIO,
            (
                Query(
                    'sum(rate(rankguard_truncated_documents_total{host=~"$host"}[$__rate_interval]))'
                    ' / sum(rate(rankguard_documents_total{host=~"$host"}[$__rate_interval]))',
                    "truncated",
                ),
                Query(
                    'sum(rate(rankguard_unscored_documents_total{host=~"$host"}[$__rate_interval]))'
                    ' / sum(rate(rankguard_documents_total{host=~"$host"}[$__rate_interval]))',
                    "unscored",
                ),
            ),
            width=12,
            least=0.0,
        ),
    ),
)

_FAST = Row(
    "Is it fast?",
    (
        Panel(
            Look.LINES,
            "Latency, p95",
            "95 of 100 requests are faster; the dashed line is the objective (latency_slo_ms)."
            " Alert: RankguardLatencyBudgetBurn.",
            Unit.SECONDS,
            (Query('rankguard:request_duration_seconds:p95_5m{host=~"$host"}', "{{host}}"),),
            limit=Query("rankguard:latency_objective_seconds", "objective"),
            least=0.0,
            runbooks=("ReplicaDegraded",),
        ),
        Panel(
            Look.LINES,
            "Requests",
            "Answered requests by status; 499 is a client that went away.",
            Unit.REQUESTS,
            (
                Query(
                    "sum by (status)"
                    ' (rate(rankguard_requests_total{host=~"$host"}[$__rate_interval])) > 0',
                    "{{status}}",
                ),
            ),
            none="no requests",
            stacked=True,
            least=0.0,
        ),
        Panel(
            Look.LINES,
            "Documents",
            "Documents in answered requests: the work that is done.",
            Unit.PER_SECOND,
            (
                Query(
                    "sum by (host)"
                    ' (rate(rankguard_documents_total{host=~"$host"}[$__rate_interval]))',
                    "{{host}}",
                ),
            ),
            stacked=True,
            least=0.0,
        ),
    ),
)

_BROKE = Row(
    "What broke?",
    (
        Panel(
            Look.TABLE,
            "Firing alerts",
            "What Prometheus alerts on. The watchdog's own alerts: `rankguard incidents`.",
            Unit.NONE,
            (
                Query(
                    'ALERTS{alertstate="firing", service="rankguard",'
                    ' alertname!="RankguardDeadMansSwitch"}'
                ),
            ),
            width=12,
            none="none",
        ),
        Panel(
            Look.LINES,
            "Restarts by cause, per hour",
            "Replicas that the watchdog started again without being asked, and why.",
            Unit.NONE,
            (
                Query(
                    "sum by (host, cause)"
                    ' (increase(rankguard_replica_restarts_total{host=~"$host"}[1h])) > 0',
                    "{{host}} {{cause}}",
                ),
            ),
            width=12,
            none="no restarts",
            least=0.0,
            runbooks=("ReplicaDead", "ReplicaHung", "ReplicaCrashLoop"),
        ),
    ),
)

FLEET = Dashboard(
    "rankguard-fleet",
    "rankguard / Fleet",
    "Is it up, is it right, is it fast, what broke: all hosts on one screen.",
    (HOST,),
    (_UP, _RIGHT, _FAST, _BROKE),
)
