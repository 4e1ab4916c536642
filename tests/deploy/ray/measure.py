"""`python -m tests.deploy.ray.measure`: throughput on 1, 2 and 3 nodes, and what Serve adds.

The engine sleeps instead of computing, so that two cores stand for the cards of three hosts. It
needs Ray (`make test-ray` makes its environment) and takes about five minutes.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
import uuid
from pathlib import Path

import requests

from tests.deploy.ray.cluster import Clients, Hosts, hosts
from tests.e2e.stack import stack
from tests.waiting import until

DOCUMENT_S = 0.05
DOCUMENTS = 20
CLIENTS_PER_NODE = 4
ASKED = 200


def throughput(nodes: int, seconds: float) -> tuple[float, int]:
    """Documents a second on so many nodes with one replica each, and requests that failed."""
    # a replica needs two of a node's three CPUs, the gateway half a one: one replica on a node
    fleet = {"gateways": 1, "cpus_per_gateway": 0.5, "cpus_per_replica": 2.0}
    with tempfile.TemporaryDirectory() as folder:
        sections = {"fleet": fleet, "monitor": {"replicas": nodes, "canary_s": 15.0}}
        with hosts(Path(folder), nodes=nodes, cpus=3, document_s=DOCUMENT_S, **sections) as cluster:
            cluster.wait_routable(nodes, 300)
            clients = Clients(cluster.url, clients=CLIENTS_PER_NODE * nodes, documents=DOCUMENTS)
            time.sleep(3.0)  # to the steady state
            began, before = time.monotonic(), clients.answered
            time.sleep(seconds)
            rate = (clients.answered - before) * DOCUMENTS / (time.monotonic() - began)
            clients.stop()
            return rate, len(clients.failed)


def latencies() -> dict[str, tuple[float, float]]:
    """p50 and p99 in ms of one client with one document, and an engine that answers at once.

    Of the plain gateway, of Serve's proxy, and of a gateway's own port beside it; in turn, so that
    what else the machine does meets all of them.
    """
    with tempfile.TemporaryDirectory() as folder, stack(Path(folder)) as plain:
        plain.start("worker", "worker", "--id", "replica-0")
        plain.start("gateway", "serve")
        until("the plain gateway is ready", plain.is_ready, 60)
        with hosts(Path(folder), nodes=0, cpus=3, document_s=0.0, fleet={"gateways": 1}) as cluster:
            cluster.wait_routable(1, 300)
            urls = {
                "plain gateway": plain.url,
                "Ray Serve, its proxy": cluster.url,
                "Ray Serve, the gateway's own port": door(cluster),
            }
            with requests.Session() as session:
                rounds = [_round(session, urls) for _ in range(ASKED)][ASKED // 10 :]
    return {name: _spread([one[name] for one in rounds]) for name in urls}


def _round(session: requests.Session, urls: dict[str, str]) -> dict[str, float]:
    """Milliseconds of one request to each; no text comes twice, so no cache answers."""
    found = {}
    for name, url in urls.items():
        body = {"query": uuid.uuid4().hex, "documents": ["one document"]}
        began = time.monotonic()
        session.post(f"{url}/v1/rerank", json=body, timeout=30).raise_for_status()
        found[name] = 1000 * (time.monotonic() - began)
    return found


def _spread(found: list[float]) -> tuple[float, float]:
    return statistics.median(found), sorted(found)[int(0.99 * (len(found) - 1))]


def door(cluster: Hosts) -> str:
    return f"http://127.0.0.2:{cluster.config.fleet.gateway_port}"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.deploy.ray.measure")
    parser.add_argument("--seconds", type=float, default=15.0, help="measured on each size")
    parser.add_argument("--only", choices=["latency", "throughput"])
    given = parser.parse_args()
    if given.only != "throughput":
        print_latencies()
    if given.only != "latency":
        print_throughput(given.seconds)


def print_latencies() -> None:
    print("| | p50 | p99 |\n|---|---|---|")
    for name, (p50, p99) in latencies().items():
        print(f"| {name} | {p50:.1f} ms | {p99:.1f} ms |", flush=True)


def print_throughput(seconds: float) -> None:
    print("\n| nodes | documents/s | of one node | failed |\n|---|---|---|---|")
    one = 0.0
    for nodes in (1, 2, 3):
        rate, failed = throughput(nodes, seconds)
        one = one or rate
        print(f"| {nodes} | {rate:.1f} | {rate / one:.2f} | {failed} |", flush=True)


if __name__ == "__main__":
    main()
