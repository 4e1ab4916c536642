"""Is it right: the canary, the distribution of scores, drift, what was cut."""

from __future__ import annotations

from grafana.panel import HOST, REPLICA, Dashboard, Look, Panel, Query, Row, Unit

_REPLICA = '{host=~"$host", replica=~"$replica"}'
_RATE = '{host=~"$host"}[$__rate_interval]'

_CANARY = Row(
    "Canary",
    (
        Panel(
            Look.LINES,
            "Outcomes per minute",
            "Known pairs sent through the real scoring path. Anything but passed is looked at"
            " twice and then acted on.",
            Unit.NONE,
            (
                Query(
                    "sum by (replica, outcome) (rate(rankguard_canary_runs_total"
                    f"{_REPLICA}[$__rate_interval])) * 60 > 0",
                    "{{replica}} {{outcome}}",
                ),
            ),
            none="no canary ran",
            width=12,
            stacked=True,
            least=0.0,
            runbooks=("ReplicaWrong",),
        ),
        Panel(
            Look.LINES,
            "Duration",
            "How long the last canary took, all cases together: what a small request feels.",
            Unit.SECONDS,
            (Query(f"rankguard_canary_duration_seconds{_REPLICA}", "{{host}} {{replica}}"),),
            width=12,
            least=0.0,
        ),
    ),
)

_SCORES = Row(
    "Scores",
    (
        Panel(
            Look.HEATMAP,
            "Relevance of scored documents",
            "Distribution of scores. A model, prompt or driver that changed shows here first: the"
            " bands move.",
            Unit.RATIO,
            (
                Query(
                    'sum by (le) (increase(rankguard_relevance_bucket{host=~"$host"}'
                    "[$__rate_interval]))",
                    "{{le}}",
                ),
            ),
            width=12,
            height=9,
        ),
        Panel(
            Look.LINES,
            "Median relevance: now, yesterday, last week",
            "Drift of the traffic or of the model. The canary tells which: it does not move with"
            " the traffic.",
            Unit.RATIO,
            tuple(
                Query(
                    "histogram_quantile(0.5, sum by (le)"
                    f' (rate(rankguard_relevance_bucket{{host=~"$host"}}[1h]{offset})))',
                    name,
                )
                for offset, name in (
                    ("", "now"),
                    (" offset 1d", "yesterday"),
                    (" offset 7d", "last week"),
                )
            ),
            width=12,
            height=9,
            least=0.0,
            most=1.0,
        ),
    ),
)

_LOST = Row(
    "What was not scored whole",
    (
        Panel(
            Look.LINES,
            "Truncated",
            "Share of documents that did not fit: what was cut off is not scored. Alert on a"
            " surge: RankguardTruncationSurge.",
            Unit.RATIO,
            (
                Query(
                    f"sum by (host) (rate(rankguard_truncated_documents_total{_RATE}))"
                    f" / sum by (host) (rate(rankguard_documents_total{_RATE}))",
                    "{{host}}",
                ),
            ),
            width=12,
            least=0.0,
        ),
        Panel(
            Look.LINES,
            "Without a score",
            "Documents for which an engine computed no number. Alert: RankguardUnscoredDocuments.",
            Unit.PER_SECOND,
            (
                Query(
                    f"sum by (host) (rate(rankguard_unscored_documents_total{_RATE}))", "{{host}}"
                ),
            ),
            width=12,
            least=0.0,
            runbooks=("ReplicaWrong",),
        ),
    ),
)

QUALITY = Dashboard(
    "rankguard-quality",
    "rankguard / Quality",
    "Canary, distribution of scores, drift, truncation.",
    (HOST, REPLICA),
    (_CANARY, _SCORES, _LOST),
)
