"""What may be wrong with the gateway and its traffic, as seen from outside the host."""

from __future__ import annotations

from deploy.render.rules.model import AlertRule, Group, Severity, duration
from service.settings import ServiceSettings

SATURATED = 0.8
"""Share of the admission limit at which callers will soon be refused."""

REFUSED = 0.01
TRUNCATED = 0.05
SURGE = 3.0
_NOT_READY_S = 60.0


def gateway(service: ServiceSettings) -> Group:
    """Rules on the gateway's own metrics; limits are the gateway's."""
    return Group("rankguard-gateway", alerts=(*_up(), *_load(service), *_content()))


def _up() -> tuple[AlertRule, ...]:
    return (
        AlertRule(
            name="RankguardGatewayDown",
            expr='up{job="rankguard-gateway"} == 0',
            severity=Severity.CRITICAL,
            hold="30s",
            summary="{{ $labels.host }}: the gateway does not answer; nobody can rerank there",
            action="On the host: systemctl status rankguard-gateway, then its journal. If the whole"
            " host is gone, take it out of the load balancer.",
        ),
        AlertRule(
            name="RankguardNotReady",
            expr="rankguard_ready == 0",
            severity=Severity.CRITICAL,
            hold=duration(_NOT_READY_S),
            summary="{{ $labels.host }}: no replica can be used; requests wait until they time out",
            action="`rankguard status` says what each replica does and why; /readyz gives the"
            " reason in one word.",
        ),
        AlertRule(
            name="RankguardReplicaEjected",
            expr="increase(rankguard_ejections_total[10m]) > 3",
            severity=Severity.WARNING,
            summary="{{ $labels.host }}: the gateway left failing replicas alone"
            " {{ $value | humanize }} times in 10 minutes",
            action="A replica fails requests while its probes pass: read its log, and restart it"
            " with `rankguard replica restart` if its scores or answers are bad.",
        ),
    )


def _load(service: ServiceSettings) -> tuple[AlertRule, ...]:
    limit = service.max_waiting_tokens
    refused = 'sum by (host) (rate(rankguard_requests_total{status="429"}[5m]))'
    everything = "sum by (host) (rate(rankguard_requests_total[5m]))"
    return (
        AlertRule(
            name="RankguardQueueSaturated",
            expr=f"rankguard_waiting_tokens > {SATURATED:g} * {limit}",
            severity=Severity.WARNING,
            hold="2m",
            summary="{{ $labels.host }}: {{ $value | humanize }} tokens wait; above"
            f" {limit} callers are refused",
            action="Add replicas (max_replicas) or hosts, or slow the caller down;"
            " a queue only moves the waiting.",
        ),
        AlertRule(
            name="RankguardRequestsRefused",
            expr=f"{refused} / ({everything} > 0) > {REFUSED:g}",
            severity=Severity.WARNING,
            hold="5m",
            summary="{{ $labels.host }}: {{ $value | humanizePercentage }} of requests are refused"
            " with 429",
            action="Somebody asks for more than the limits allow: see which caller, and whether"
            " the limits fit the hosts.",
        ),
    )


def _content() -> tuple[AlertRule, ...]:
    def truncated(window: str) -> str:
        return (
            f"sum by (host) (rate(rankguard_truncated_documents_total[{window}]))"
            f" / (sum by (host) (rate(rankguard_documents_total[{window}])) > 0)"
        )

    return (
        AlertRule(
            name="RankguardTruncationSurge",
            expr=f"({truncated('15m')}) > {TRUNCATED:g}\n"
            f"and ({truncated('15m')}) > {SURGE:g} * ({truncated('1d')})",
            severity=Severity.WARNING,
            hold="10m",
            summary="{{ $labels.host }}: {{ $value | humanizePercentage }} of documents do not fit"
            " whole, far more than yesterday",
            action="A caller began to send longer documents: what is cut off is not scored. Split"
            " them, or raise max_model_len.",
        ),
        AlertRule(
            name="RankguardUnscoredDocuments",
            expr="increase(rankguard_unscored_documents_total[15m]) > 0",
            severity=Severity.WARNING,
            summary="{{ $labels.host }}: {{ $value | humanize }} documents got no score (NaN) in"
            " 15 minutes",
            action="An engine computes nonsense for some input: look for GPU errors (ECC, XID),"
            " then at the documents that the log names by request id.",
        ),
    )
