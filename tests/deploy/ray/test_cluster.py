"""rankguard on a real Ray cluster of three nodes: the same API, and nothing lost with a node."""

from __future__ import annotations

import pytest
import requests

from tests.deploy.ray.cluster import QUERY, RIGHT, WRONG, Clients, hosts
from tests.waiting import until

pytest.importorskip("ray", reason="Ray is not here: make test-ray")
pytestmark = [
    pytest.mark.real,
    pytest.mark.timeout(240),
    # Ray's own code warns of its own code
    pytest.mark.filterwarnings("ignore"),
]


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    sections = {
        "engine": {"kind": "scripted", "scripted": {"document_s": 0.01}},
        "monitor": {"replicas": 3, "canary_s": 2.0},
        "fleet": {"gateways": 2, "gateway_port": 0},
    }
    with hosts(tmp_path_factory.mktemp("ray"), nodes=2, **sections) as cluster:
        try:
            cluster.wait_routable(3, 90)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{cluster.log()}\n{cluster.readiness()}") from None
        yield cluster


def test_it_reranks(running):
    body = {"query": QUERY, "documents": [WRONG, RIGHT]}

    answer = requests.post(f"{running.url}/v1/rerank", json=body, timeout=30)

    assert answer.status_code == 200, answer.text
    assert answer.json()["results"][0]["index"] == 1


def test_a_node_that_is_killed_under_load_costs_no_request(running):
    clients = Clients(running.url)
    until("they are served", lambda: clients.answered > 50, 30)

    running.kill("node-0")
    until("replicas come back elsewhere", lambda: running.ready_on("head", "node-1") == 3, 60)
    running.wait_routable(3)
    since = clients.answered
    until("they are served again", lambda: clients.answered > since + 50, 30)
    clients.stop()

    print(clients.answered, clients.retried)
    assert clients.failed == []
    assert clients.wrong == []
