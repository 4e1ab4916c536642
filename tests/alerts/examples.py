"""One message of each kind, the same for every receiver."""

from __future__ import annotations

from dataclasses import replace

from alerts.held import digest
from alerts.message import Kind, Message
from alerts.model import Alert, Severity, Status
from tests.alerts.make import GPU, START, alert, resolved

HUNG = alert(
    "ReplicaHung",
    gpu_uuid=GPU,
    gpu_index=3,
    incident=42,
    summary="replica-0 makes no progress while 12 requests wait",
    evidence={"oldest request": "31 s", "forward passes": "0 in 15 s", "GPU use": "100 %"},
    action="killed the process group and started generation 4; it passed its canary after 21 s",
)
XID = alert(
    "GpuXid",
    replica=None,
    gpu_uuid=GPU,
    gpu_index=3,
    incident=43,
    at=START - 5,
    summary='XID 79: "GPU has fallen off the bus" <b>&amp; [x](y) @all *bold* `code`',
    severity=Severity.WARNING,
)


def message(*alerts: Alert, **more: object) -> Message:
    firing = [each for each in alerts if each.status is Status.FIRING]
    made = Message(
        key="0123456789abcdef0123456789abcdef",
        receiver="oncall",
        group=f"incident=gpu-1/{GPU}",
        status=Status.FIRING if firing else Status.RESOLVED,
        severity=alerts[0].severity,
        reason="first_notification",
        alerts=alerts,
        created_at=START + 2,
        group_labels={"incident": f"gpu-1/{GPU}"},
    )
    return replace(made, **more)  # type: ignore[arg-type]


FIRING = message(HUNG, XID)
ENDED = message(resolved(HUNG, START + 200), reason="all_resolved")
TAKEN = message(HUNG, kind=Kind.ACKNOWLEDGE, reason="acknowledged")
DIGEST = replace(
    digest("oncall", [resolved(HUNG, START + 200), XID], START + 3600, reason="late_after_outage"),
    note="late",
    left_out=3,
)

EXAMPLES: dict[str, Message] = {
    "firing": FIRING,
    "resolved": ENDED,
    "acknowledged": TAKEN,
    "digest": DIGEST,
    "markup in the text": message(XID),
}
