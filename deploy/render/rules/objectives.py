"""Service objectives and the multi-window burn rates that watch them (SRE Workbook, chapter 5).

A burn rate of 1 spends the whole error budget in the objective's period of 30 days. Two windows
must agree: the long one says that it matters, the short one (a twelfth) that it still goes on.
"""

from __future__ import annotations

from dataclasses import dataclass

from deploy.render.rules.model import AlertRule, Group, Recording, Severity
from service.metrics import SECONDS

LEAST_REQUESTS = 50
"""Requests in the long window below which a rate says nothing: one failure is not an outage."""


@dataclass(frozen=True, slots=True)
class Burn:
    """One row of the workbook's table 5-8: so fast, over so long and so short, is so bad."""

    factor: float
    long: str
    short: str
    severity: Severity
    spent: str


BURNS = (
    Burn(14.4, "1h", "5m", Severity.CRITICAL, "2 % of a month's budget in an hour"),
    Burn(6.0, "6h", "30m", Severity.CRITICAL, "5 % of a month's budget in six hours"),
    Burn(1.0, "3d", "6h", Severity.WARNING, "10 % of a month's budget in three days"),
)
_INTERVAL_S = 30
WINDOWS = tuple(dict.fromkeys(window for burn in BURNS for window in (burn.short, burn.long)))


@dataclass(frozen=True, slots=True)
class Objectives:
    """What was promised, per host.

    Attributes:
        availability: share of requests answered without a failure of ours (status below 500).
        latency_ms: what a request may take.
        punctuality: share of requests that take no longer; 0.95 makes `latency_ms` a p95.
    """

    availability: float
    latency_ms: float
    punctuality: float


def latency_bound(slo_ms: float) -> float:
    """The latency objective in seconds as a histogram can judge it: the next bucket's bound."""
    slo_s = slo_ms / 1000.0
    return next((bound for bound in SECONDS if bound >= slo_s - 1e-9), SECONDS[-1])


def objectives(wanted: Objectives) -> Group:
    """Burn rates of both objectives, per host."""
    return Group("rankguard-objectives", _recordings(wanted), _alerts(wanted), f"{_INTERVAL_S}s")


def _recordings(wanted: Objectives) -> tuple[Recording, ...]:
    bucket = f'rankguard_request_duration_seconds_bucket{{le="{latency_bound(wanted.latency_ms)}"}}'
    made = [
        Recording("rankguard:latency_objective_seconds", f"vector({wanted.latency_ms / 1000.0:g})"),
        Recording("rankguard:availability_objective", f"vector({wanted.availability:g})"),
        Recording(
            "rankguard:request_duration_seconds:p95_5m",
            "histogram_quantile(0.95, sum by (host, le)"
            " (rate(rankguard_request_duration_seconds_bucket[5m])))",
        ),
        Recording(
            "rankguard:requests:rate5m", "sum by (host) (rate(rankguard_requests_total[5m]))"
        ),
        Recording(
            "rankguard:request_errors:rate5m",
            'sum by (host) (rate(rankguard_requests_total{status=~"5.."}[5m]))',
        ),
        Recording(
            "rankguard:request_lateness:rate5m",
            "sum by (host) (rate(rankguard_request_duration_seconds_count[5m]))\n"
            f"- sum by (host) (rate({bucket}[5m]))",
        ),
    ]
    # long windows are averages of the recorded rates: a rate over three days of samples, for every
    # series and every 30 seconds, would be most of what Prometheus does
    for window in WINDOWS:
        everything = f"avg_over_time(rankguard:requests:rate5m[{window}])"
        made += [
            Recording(
                f"rankguard:{what}:ratio{window}",
                # 0 / 0 is no value: a host without requests neither meets nor misses an objective
                f"avg_over_time(rankguard:{what}:rate5m[{window}])\n/ ({everything} > 0)",
            )
            for what in ("request_errors", "request_lateness")
        ]
    return tuple(made)


def _alerts(wanted: Objectives) -> tuple[AlertRule, ...]:
    made = []
    for burn in BURNS:
        name = {14.4: "Fast", 6.0: "", 1.0: "Slow"}[burn.factor]
        made += [
            AlertRule(
                name=f"RankguardErrorBudgetBurn{name}",
                expr=_burning("request_errors", burn, 1.0 - wanted.availability),
                severity=burn.severity,
                hold="2m",
                summary=f"{{{{ $labels.host }}}}: {{{{ $value | humanizePercentage }}}} of requests"
                f" fail over {burn.long}, {burn.spent}",
                action="Look at `rankguard incidents` and at requests by status: 503 is too little"
                " capacity or no ready replica, 504 is slowness, 500 is an engine that fails.",
            ),
            AlertRule(
                name=f"RankguardLatencyBudgetBurn{name}",
                expr=_burning("request_lateness", burn, 1.0 - wanted.punctuality),
                severity=Severity.WARNING if burn.factor < 14.4 else Severity.CRITICAL,
                hold="2m",
                summary=f"{{{{ $labels.host }}}}: {{{{ $value | humanizePercentage }}}} of requests"
                f" took over {wanted.latency_ms:g} ms over {burn.long}",
                action="See whether requests wait (queue) or compute (score): waiting wants more"
                " replicas or less load, computing wants a look at the GPUs' clocks and heat.",
            ),
        ]
    return tuple(made)


def _burning(ratio: str, burn: Burn, budget: float) -> str:
    limit = f"{burn.factor:g} * {budget:g}"
    return (
        f"rankguard:{ratio}:ratio{burn.long} > {limit}\n"
        f"and rankguard:{ratio}:ratio{burn.short} > {limit}\n"
        # the sum, and not the average times the window: a host that is new has few samples
        f"and sum_over_time(rankguard:requests:rate5m[{burn.long}]) * {_INTERVAL_S}"
        f" > {LEAST_REQUESTS}"
    )
