"""The service in detail: latency, queue, cache, truncation, replicas."""

from __future__ import annotations

from grafana.panel import HOST, REPLICA, Dashboard, Look, Panel, Query, Row, Unit, Word

_RATE = '{host=~"$host"}[$__rate_interval]'


def _quantile(metric: str, quantile: float) -> str:
    return f"histogram_quantile({quantile:g}, sum by (le) (rate(rankguard_{metric}_bucket{_RATE})))"


def _quantiles(metric: str) -> tuple[Query, ...]:
    return tuple(
        Query(_quantile(metric, quantile), f"p{quantile * 100:g}") for quantile in (0.5, 0.95, 0.99)
    )


def _rate(metric: str) -> str:
    return f"sum(rate(rankguard_{metric}{_RATE}))"


_LATENCY = Row(
    "Latency",
    (
        Panel(
            Look.HEATMAP,
            "Requests by latency",
            "How many requests took how long. Two bands are two kinds of requests; a band that"
            " rises is a queue.",
            Unit.SECONDS,
            (
                Query(
                    "sum by (le)"
                    ' (increase(rankguard_request_duration_seconds_bucket{host=~"$host"}'
                    "[$__rate_interval]))",
                    "{{le}}",
                ),
            ),
            width=12,
            height=9,
        ),
        Panel(
            Look.LINES,
            "Latency",
            "From the request's first byte to the answer's last; the dashed line is the objective.",
            Unit.SECONDS,
            _quantiles("request_duration_seconds"),
            width=12,
            height=9,
            limit=Query("rankguard:latency_objective_seconds", "objective"),
            least=0.0,
            runbooks=("ReplicaDegraded",),
        ),
        Panel(
            Look.LINES,
            "Where the time goes, p95",
            "Waiting for a replica against computing. Much waiting wants more replicas; much"
            " computing wants shorter documents or faster cards.",
            Unit.SECONDS,
            (
                Query(_quantile("queue_duration_seconds", 0.95), "waits"),
                Query(_quantile("score_duration_seconds", 0.95), "computes"),
            ),
            least=0.0,
        ),
        Panel(
            Look.LINES,
            "Latency by route, p95",
            "Each API's requests apart.",
            Unit.SECONDS,
            (
                Query(
                    "histogram_quantile(0.95, sum by (route, le)"
                    f" (rate(rankguard_request_duration_seconds_bucket{_RATE})))",
                    "{{route}}",
                ),
            ),
            least=0.0,
        ),
        Panel(
            Look.LINES,
            "Requests that missed the objective",
            "Share of requests over latency_slo_ms, over an hour and over five minutes.",
            Unit.RATIO,
            (
                Query('rankguard:request_lateness:ratio5m{host=~"$host"}', "{{host}} 5 min"),
                Query('rankguard:request_lateness:ratio1h{host=~"$host"}', "{{host}} 1 h"),
            ),
            least=0.0,
            most=1.0,
        ),
        Panel(
            Look.LINES,
            "Requests that failed",
            "Share of requests with a failure of ours (status 500 and above), over an hour and over"
            " five minutes; the dashed line is what availability_slo allows. Alert:"
            " RankguardErrorBudgetBurn.",
            Unit.RATIO,
            (
                Query('rankguard:request_errors:ratio5m{host=~"$host"}', "{{host}} 5 min"),
                Query('rankguard:request_errors:ratio1h{host=~"$host"}', "{{host}} 1 h"),
            ),
            limit=Query("1 - rankguard:availability_objective", "budget"),
            least=0.0,
        ),
    ),
)

_LOAD = Row(
    "Load",
    (
        Panel(
            Look.LINES,
            "Requests by route",
            "Answered requests by path: which API the callers speak.",
            Unit.REQUESTS,
            (Query(f"sum by (route) (rate(rankguard_requests_total{_RATE})) > 0", "{{route}}"),),
            none="no requests",
            stacked=True,
            least=0.0,
        ),
        Panel(
            Look.LINES,
            "Failures and refusals",
            "Requests that did not get what they asked for. 429: over a limit. 503: no replica."
            " 504: too slow. 500: an engine failed.",
            Unit.REQUESTS,
            (
                Query(
                    'sum by (status) (rate(rankguard_requests_total{host=~"$host",'
                    ' status!="200"}[$__rate_interval])) > 0',
                    "{{status}}",
                ),
            ),
            none="no failures",
            stacked=True,
            least=0.0,
        ),
        Panel(
            Look.LINES,
            "Waiting",
            "Estimated tokens that are admitted and not answered. Above max_waiting_tokens callers"
            " get 429. Alert: RankguardQueueSaturated.",
            Unit.TOKENS,
            (Query('rankguard_waiting_tokens{host=~"$host"}', "{{host}}"),),
            least=0.0,
        ),
        Panel(
            Look.LINES,
            "In flight",
            "Requests begun and not answered, and chunks that wait for a replica.",
            Unit.NONE,
            (
                Query('sum(rankguard_requests_in_flight{host=~"$host"})', "requests"),
                Query('sum(rankguard_waiting_chunks{host=~"$host"})', "chunks that wait"),
            ),
            least=0.0,
        ),
        Panel(
            Look.LINES,
            "Documents per request",
            "How big requests are.",
            Unit.NONE,
            _quantiles("request_documents"),
            least=0.0,
        ),
        Panel(
            Look.LINES,
            "Tokens",
            "Tokens of scored documents, as the engines count them: the true load of the cards.",
            Unit.PER_SECOND,
            (Query(_rate("tokens_total"), "tokens"),),
            least=0.0,
        ),
    ),
)

_MENDING = Row(
    "Retries and cache",
    (
        Panel(
            Look.LINES,
            "Chunks sent again",
            "What the gateway mends by itself, by what failed. Clients do not see it; a steady rate"
            " is a replica to look at.",
            Unit.PER_SECOND,
            (
                Query(
                    f"sum by (failure) (rate(rankguard_chunk_retries_total{_RATE})) > 0",
                    "{{failure}}",
                ),
                Query(_rate("chunk_hedges_total"), "hedged: late, sent to a second replica"),
                Query(_rate("ejections_total"), "ejections"),
                Query(_rate("poison_requests_total"), "refused: engines ended at it"),
            ),
            least=0.0,
        ),
        Panel(
            Look.LINES,
            "Cache hit ratio",
            "Pairs whose score was known, and pairs that another request was scoring already.",
            Unit.RATIO,
            (
                Query(
                    f"{_rate('cache_hits_total')} / ({_rate('cache_hits_total')}"
                    f" + {_rate('cache_misses_total')} + {_rate('cache_shared_total')})",
                    "known",
                ),
                Query(
                    f"{_rate('cache_shared_total')} / ({_rate('cache_hits_total')}"
                    f" + {_rate('cache_misses_total')} + {_rate('cache_shared_total')})",
                    "shared",
                ),
            ),
            least=0.0,
            most=1.0,
        ),
        Panel(
            Look.LINES,
            "Cache size",
            "Bytes that the score cache holds.",
            Unit.BYTES,
            (Query('rankguard_cache_bytes{host=~"$host"}', "{{host}}"),),
            least=0.0,
        ),
    ),
)

_PER_REPLICA = '{host=~"$host", replica=~"$replica"}'
_REPLICAS = Row(
    "Replicas",
    (
        Panel(
            Look.STATES,
            "Phase",
            "The phase of its life in which each replica is.",
            Unit.NONE,
            (
                Query(
                    f"rankguard_replica_phase{_PER_REPLICA} == 1",
                    "{{host}} {{replica}}: {{phase}}",
                ),
            ),
            none="no replicas",
            width=12,
            words=(Word(1, "·", "blue"),),
            runbooks=("ReplicaStartFailed", "ReplicaCrashLoop"),
        ),
        Panel(
            Look.STATES,
            "Verdict",
            "What the watchdog thinks of each replica, from evidence.",
            Unit.NONE,
            (
                Query(
                    f"rankguard_replica_health{_PER_REPLICA} == 1",
                    "{{host}} {{replica}}: {{health}}",
                ),
            ),
            none="no replicas",
            width=12,
            words=(Word(1, "·", "purple"),),
        ),
        Panel(
            Look.LINES,
            "Documents scored",
            "Each replica's own count, so an uneven spread is seen.",
            Unit.PER_SECOND,
            (
                Query(
                    f"rate(rankguard_replica_completed_documents_total{_PER_REPLICA}"
                    "[$__rate_interval])",
                    "{{host}} {{replica}}",
                ),
            ),
            least=0.0,
        ),
        Panel(
            Look.LINES,
            "Oldest work in flight",
            "Grows without end on a replica that hangs. Alert of the watchdog: ReplicaHung.",
            Unit.SECONDS,
            (
                Query(
                    f"rankguard_replica_oldest_in_flight_seconds{_PER_REPLICA}",
                    "{{host}} {{replica}}",
                ),
            ),
            least=0.0,
            runbooks=("ReplicaHung",),
        ),
        Panel(
            Look.LINES,
            "Documents in flight",
            "Documents that each replica is scoring, by its own count.",
            Unit.NONE,
            (
                Query(
                    f"rankguard_replica_in_flight_documents{_PER_REPLICA}",
                    "{{host}} {{replica}}",
                ),
            ),
            least=0.0,
        ),
        Panel(
            Look.LINES,
            "Forward passes",
            "Steps of each engine. Work in flight and no steps is a hang.",
            Unit.PER_SECOND,
            (
                Query(
                    f"rate(rankguard_replica_engine_steps_total{_PER_REPLICA}[$__rate_interval])",
                    "{{host}} {{replica}}",
                ),
            ),
            least=0.0,
        ),
        Panel(
            Look.LINES,
            "Time per document",
            "Time for which a replica was busy, per document. The gateway gives all replicas the"
            " same mix: one that lies far above the others is slow. Incident: ReplicaDegraded.",
            Unit.SECONDS,
            (
                Query(
                    f"rate(rankguard_replica_busy_seconds_total{_PER_REPLICA}[$__rate_interval])"
                    f" / rate(rankguard_replica_served_documents_total{_PER_REPLICA}"
                    "[$__rate_interval])",
                    "{{host}} {{replica}}",
                ),
            ),
            least=0.0,
            runbooks=("ReplicaDegraded",),
        ),
        Panel(
            Look.LINES,
            "Documents that failed",
            "Documents that an engine could not score; the gateway tries them elsewhere.",
            Unit.PER_SECOND,
            (
                Query(
                    f"rate(rankguard_replica_failed_documents_total{_PER_REPLICA}"
                    "[$__rate_interval])",
                    "{{host}} {{replica}}",
                ),
            ),
            least=0.0,
        ),
        Panel(
            Look.LINES,
            "Documents without a finite score",
            "Users' documents that got NaN or infinity. A canary looks at the replica at once:"
            " when it fails too, the model is broken, else the document is.",
            Unit.PER_SECOND,
            (
                Query(
                    f"rate(rankguard_replica_unscored_documents_total{_PER_REPLICA}"
                    "[$__rate_interval])",
                    "{{host}} {{replica}}",
                ),
            ),
            least=0.0,
            runbooks=("ReplicaWrong",),
        ),
        Panel(
            Look.LINES,
            "Prefix cache",
            "Share of prompt tokens that an engine had computed before: instruction and query of"
            " a request are computed once for all its documents.",
            Unit.RATIO,
            (
                Query(
                    f"rate(rankguard_replica_prefix_hit_tokens_total{_PER_REPLICA}"
                    "[$__rate_interval])"
                    f" / rate(rankguard_replica_prefix_lookup_tokens_total{_PER_REPLICA}"
                    "[$__rate_interval])",
                    "{{host}} {{replica}}",
                ),
            ),
            least=0.0,
        ),
        Panel(
            Look.LINES,
            "Memory",
            "What each replica's processes hold. A line that only rises is a leak; the watchdog"
            " recycles the replica while another one serves.",
            Unit.BYTES,
            (
                Query(f"rankguard_replica_resident_bytes{_PER_REPLICA}", "{{host}} {{replica}}"),
                Query(
                    f"rankguard_replica_gpu_memory_bytes{_PER_REPLICA}",
                    "{{host}} {{replica}} on cards",
                ),
            ),
            least=0.0,
            runbooks=("ReplicaLeaking",),
        ),
        Panel(
            Look.STATES,
            "In rotation",
            "Whether the gateway may send to each replica and reaches it. The watchdog's word"
            " on it is on the fleet's dashboard.",
            Unit.NONE,
            (Query(f"rankguard_replica_in_rotation{_PER_REPLICA}", "{{host}} {{replica}}"),),
            words=(Word(0, "left out", "red"), Word(1, "in rotation", "green")),
        ),
        Panel(
            Look.LINES,
            "Outstanding tokens",
            "Estimated tokens that the gateway sent to each replica and has no answer for.",
            Unit.TOKENS,
            (
                Query(
                    f"rankguard_replica_outstanding_tokens{_PER_REPLICA}",
                    "{{host}} {{replica}}",
                ),
            ),
            least=0.0,
        ),
    ),
)

SERVICE = Dashboard(
    "rankguard-service",
    "rankguard / Service",
    "Latency, load, retries, cache and replicas.",
    (HOST, REPLICA),
    (_LATENCY, _LOAD, _MENDING, _REPLICAS),
)
