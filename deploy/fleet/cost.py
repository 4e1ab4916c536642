"""What a fleet costs to watch, counted from the real metric tables and messages.

`python -m deploy.fleet.cost --hosts 100` prints the table of docs/operations.md. Nothing is
started: one host's scrape is made from values of a host that is well, then multiplied.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from prometheus_client import CollectorRegistry, disable_created_metrics, generate_latest

from alerts.snapshot import PipelineSnapshot, ReceiverSnapshot
from deploy.config import Config
from deploy.render.prometheus import SCRAPE_S
from deploy.render.rules.book import rule_book
from monitor.cardbook import CardView
from monitor.cardhealth import CardState, CardVerdict
from monitor.exporter import SnapshotCollector
from monitor.gpu import Card, CardSample, Field, GpuRound
from monitor.host import HostSample
from monitor.page import status
from monitor.replica import Phase, Replica
from monitor.snapshot import ReplicaView, Snapshot
from service.manifest import Manifest
from service.metrics import GatewayMetrics, ReplicaSample

LOOKS_PER_S, MOST_LOOKS_PER_S = 2, 100
"""A gateway of Ray Serve asks every replica twice a second, and at most so many (ray/link.py)."""

CHECKS_PER_S = 1
"""A balancer asks every host once a second (the rendered HAProxy file)."""

CHECK_BYTES = 400
"""A readiness check and its answer, headers included; about, and it hardly matters."""

RETENTION_DAYS = 15
SAMPLE_BYTES = 1.5
"""Prometheus' own planning figure: one to two bytes a sample on disk."""


@dataclass(frozen=True, slots=True)
class Scrape:
    """One process's `/metrics`."""

    series: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Shape:
    """One host of the fleet, and how many there are."""

    hosts: int
    cards: int = 8
    replicas: int = 8
    receivers: int = 3


def gateway_scrape(replicas: int) -> Scrape:
    """A gateway that sees so many replicas."""
    registry = CollectorRegistry()
    metrics = GatewayMetrics(registry)
    metrics.watch_replicas(
        lambda: [ReplicaSample(f"replica-{n}", True, 0) for n in range(replicas)]
    )
    return _scrape(registry)


def watchdog_scrape(shape: Shape) -> Scrape:
    """A watchdog with every reading of every card there."""
    registry = CollectorRegistry()
    snapshot = host_snapshot(shape)
    registry.register(SnapshotCollector(lambda: snapshot, lambda: snapshot.at))
    return _scrape(registry)


def _scrape(registry: CollectorRegistry) -> Scrape:
    text = generate_latest(registry).decode()
    series = sum(not line.startswith("#") for line in text.splitlines())
    return Scrape(series, len(text.encode()))


def host_snapshot(shape: Shape) -> Snapshot:
    """A host on which all is well."""
    cards = tuple(_card(number) for number in range(shape.cards))
    return Snapshot(
        at=1_800_000_000.0,
        started_at=1_799_000_000.0,
        replicas=tuple(_replica(number) for number in range(shape.replicas)),
        wanted=shape.replicas,
        cards=cards,
        gpus=GpuRound(1.0, "580.95.05", tuple(card.sample for card in cards)),
        host=HostSample(
            0.2, 0.0, 2**38, 2**39, 0, {"/var/lib/rankguard": (2**38, 2**40)}, 100, 65536
        ),
        delivery=PipelineSnapshot(
            at=1_800_000_000.0,
            durable=True,
            notice="",
            receivers=tuple(_receiver(number) for number in range(shape.receivers)),
        ),
    )


def _card(number: int) -> CardView:
    card = Card(
        f"GPU-00000000-0000-0000-0000-{number:012d}",
        number,
        "NVIDIA H100 80GB HBM3",
        f"00000000:{number:02X}:00.0",
    )
    values: dict[Field, Any] = dict.fromkeys(Field, 1.0)
    return CardView(card, CardSample(card, values), CardVerdict(CardState.OK))


def _replica(number: int) -> ReplicaView:
    return ReplicaView(Replica(f"replica-{number}", phase=Phase.SERVING, routable=True))


def _receiver(number: int) -> ReceiverSnapshot:
    return ReceiverSnapshot(
        f"receiver-{number}", "webhook", 0, 0, None, "closed", 1000, 0, "", 1_800_000_000.0
    )


def describe_bytes() -> int:
    """What a replica of Ray Serve answers twice a second; Ray's own framing comes on top."""
    manifest = Manifest(
        id="replica-0@gpu-host-001",
        generation=1,
        pid=4_194_304,
        started_ticks=10**9,
        boot_id="0" * 36,
        url=f"serve:{'0' * 56}/{'0' * 8}/{'0' * 12}",
        engine="vllm",
        model="Qwen/Qwen3-Reranker-0.6B",
        fingerprint="0" * 64,
    )
    body = {name: str(getattr(manifest, name)) for name in Manifest.__dataclass_fields__}
    return len(json.dumps({"manifest": body, "routable": True, "reason": "healthy"}))


def rules() -> tuple[int, int]:
    """Recorded expressions and alert rules; there is one set of them, whatever the fleet."""
    groups = rule_book(Config())
    recorded = sum(len(group.recordings) for group in groups)
    return recorded, sum(len(group.alerts) for group in groups)


def table(shape: Shape, *, gateways: int) -> list[tuple[str, str]]:
    """Quantity and value, a row each.

    Args:
        gateways: of Ray Serve, for the control traffic.
    """
    gateway, watchdog = gateway_scrape(shape.replicas), watchdog_scrape(shape)
    per_host = gateway.series + watchdog.series
    series = per_host * shape.hosts
    bytes_per_s = (gateway.bytes + watchdog.bytes) * shape.hosts / SCRAPE_S
    samples_per_s = series / SCRAPE_S
    disk = samples_per_s * SAMPLE_BYTES * 86400 * RETENTION_DAYS
    all_replicas = shape.replicas * shape.hosts
    recorded, alerts = rules()
    looks = gateways * min(LOOKS_PER_S * all_replicas, MOST_LOOKS_PER_S)
    ray_gateway = gateway_scrape(all_replicas)
    status_bytes = len(json.dumps(status(host_snapshot(shape))))
    return [
        ("series of a gateway", f"{gateway.series} ({gateway.bytes / 1000:.0f} kB a scrape)"),
        ("series of a watchdog", f"{watchdog.series} ({watchdog.bytes / 1000:.0f} kB a scrape)"),
        ("series of all hosts", f"{series:,}"),
        ("samples a second", f"{samples_per_s:,.0f}"),
        ("scraped a second", f"{bytes_per_s / 1e6:.1f} MB, before compression"),
        (f"on Prometheus' disk, {RETENTION_DAYS} days", f"{disk / 1e9:.0f} GB"),
        ("recorded expressions / alert rules", f"{recorded} / {alerts}, evaluated once for all"),
        ("`rankguard status --hosts all`", f"{status_bytes * shape.hosts / 1e6:.1f} MB once"),
        ("readiness checks of one balancer", _checks(shape.hosts)),
        (
            f"Ray Serve: {gateways} gateways ask {all_replicas} replicas",
            f"{looks:,} calls a second, {looks * describe_bytes() / 1e6:.2f} MB/s",
        ),
        (
            "Ray Serve: series of such a gateway",
            f"{ray_gateway.series:,} ({ray_gateway.bytes / 1000:.0f} kB a scrape)",
        ),
        ("messages between watchdogs", "none"),
    ]


def _checks(hosts: int) -> str:
    checks = CHECKS_PER_S * hosts
    return f"{checks} a second, {checks * CHECK_BYTES / 1000:.0f} kB/s"


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table as Markdown."""
    parser = argparse.ArgumentParser(prog="python -m deploy.fleet.cost", description=__doc__)
    parser.add_argument("--hosts", type=int, default=100)
    parser.add_argument("--cards", type=int, default=8, help="a host")
    parser.add_argument("--replicas", type=int, default=8, help="a host")
    parser.add_argument("--gateways", type=int, default=4, help="of Ray Serve, in all")
    given = parser.parse_args(arguments)
    disable_created_metrics()  # type: ignore[no-untyped-call]
    shape = Shape(given.hosts, given.cards, given.replicas)
    print(
        f"| {given.hosts} hosts of {given.cards} cards and {given.replicas} replicas | |\n|---|---|"
    )
    for name, value in table(shape, gateways=given.gateways):
        print(f"| {name} | {value} |")


if __name__ == "__main__":
    main()
