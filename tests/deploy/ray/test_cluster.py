"""rankguard on a real Ray cluster of three nodes: the same API, and nothing lost with a node."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys

import pytest
import requests

from service.process import started_ticks
from tests.deploy.ray.cluster import ENVIRONMENT, QUERY, RIGHT, WRONG, Clients, hosts
from tests.deploy.ray.watchdog import watchdogs
from tests.e2e.stack import stack
from tests.waiting import until

pytest.importorskip("ray", reason="Ray is not here: make test-ray")
pytestmark = [
    pytest.mark.real,
    pytest.mark.timeout(900),
    # Ray's own code warns of its own code
    pytest.mark.filterwarnings("ignore"),
]

BODY = {"query": QUERY, "documents": [WRONG, RIGHT]}
REQUESTS = {
    "jina": ("POST", "/v1/rerank", BODY),
    "jina, top_n": ("POST", "/v1/rerank", {**BODY, "top_n": 1, "return_documents": False}),
    "vllm": ("POST", "/rerank", {**BODY, "model": "scripted"}),
    "cohere v2": ("POST", "/v2/rerank", BODY),
    "tei": ("POST", "/rerank", {"query": QUERY, "texts": [WRONG, RIGHT], "return_text": True}),
    "score": ("POST", "/v1/score", {"text_1": QUERY, "text_2": [WRONG, RIGHT]}),
    "embeddings": ("POST", "/v1/embeddings", {"input": [QUERY, RIGHT]}),
    "not JSON": ("POST", "/v1/rerank", b"{"),
    "no documents": ("POST", "/v1/rerank", {"query": QUERY, "documents": []}),
    "a number among the documents": ("POST", "/v2/rerank", {**BODY, "documents": ["a", 3]}),
    "too many documents": ("POST", "/v1/rerank", {**BODY, "documents": ["a"] * 1001}),
    "another method": ("GET", "/v1/rerank", None),
    "another path": ("GET", "/nowhere", None),
    "models": ("GET", "/v1/models", None),
    "alive": ("GET", "/livez", None),
}
LIMIT_S = 300.0
"""On an idle machine of two cores what is waited for takes at most 20 s."""

FLEETING = {"id", "created", "replicas"}


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    sections = {
        "monitor": {"replicas": 3, "canary_s": 2.0, "canary_timeout_s": 1.0},
        "fleet": {"gateways": 2},
    }
    folder = tmp_path_factory.mktemp("ray")
    with hosts(folder, nodes=2, document_s=0.01, **sections) as cluster:
        try:
            cluster.wait_routable(3, LIMIT_S)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{cluster.log()}\n{cluster.readiness()}") from None
        yield cluster


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """The gateway as it is without Ray."""
    with stack(tmp_path_factory.mktemp("plain"), document_s=0.01) as one:
        one.start("worker", "worker", "--id", "replica-0")
        one.start("gateway", "serve")
        until("the plain gateway is ready", one.is_ready, 60)
        yield one


def _lasting(body):
    """The body without what differs from one request to the next."""
    if isinstance(body, dict):
        return {name: _lasting(value) for name, value in body.items() if name not in FLEETING}
    return [_lasting(one) for one in body] if isinstance(body, list) else body


def _ask(url, method, path, body):
    raw = body if isinstance(body, bytes | None) else json.dumps(body).encode()
    answer = requests.request(
        method, url + path, data=raw, headers={"Content-Type": "application/json"}, timeout=30
    )
    return answer.status_code, _lasting(answer.json()), answer.headers


@pytest.mark.parametrize("name", REQUESTS)
def test_the_api_is_the_plain_gateways(running, plain, name):
    expected, body, headers = _ask(plain.url, *REQUESTS[name])

    got = _ask(running.url, *REQUESTS[name])

    assert (got[0], got[1]) == (expected, body)
    for header in ("Content-Type", "X-Request-Id", "Server-Timing", "Allow"):
        assert (header in got[2]) == (header in headers), header


def test_readiness_has_the_plain_gateways_shape(running, plain):
    expected, got = requests.get(f"{plain.url}/readyz", timeout=5), running.readiness()

    assert expected.ok
    assert {**got, "replicas": []} == {**expected.json(), "replicas": []}
    assert {name for one in got["replicas"] for name in one} == set(expected.json()["replicas"][0])
    assert [one["reason"] for one in got["replicas"]] == ["healthy"] * 3


def test_a_gateway_has_a_door_of_its_own_for_its_metrics(running):
    port = running.config.fleet.gateway_port
    doors = [f"http://127.0.0.{number}:{port}" for number in (2, 3, 4)]

    def open_doors():
        found = []
        for door in doors:
            with contextlib.suppress(requests.RequestException):
                found.append(requests.get(f"{door}/metrics", timeout=5).text)
        return found

    texts = until("both gateways answer", lambda: len(open_doors()) == 2 and open_doors(), 20)

    assert all('rankguard_replica_in_rotation{replica="replica-0@' in text for text in texts)


def test_each_hosts_watchdog_sees_its_replicas_and_cards_and_tells_of_an_end(running, tmp_path):
    with watchdogs(running, tmp_path) as (watching, webhook):
        until(
            "all replicas are healthy", lambda: watching.healthy() == watching.expected(), LIMIT_S
        )
        everywhere = watching.status("--hosts", ",".join(watching.addresses))
        assert everywhere["state"] == "healthy"
        assert [len(one["status"]["gpus"]) for one in everywhere["hosts"]] == [1] * 3

        clients = Clients(running.url)
        clients.more(20)
        victim = running.a_replica()
        os.kill(victim.pid, signal.SIGKILL)

        until(
            "somebody is told",
            lambda: [m for m in webhook.received if m.name == "ReplicaDead"],
            LIMIT_S,
        )
        until("it is replaced", lambda: watching.healthy() == 3, LIMIT_S)
        clients.stop()
        assert clients.failed == []


@pytest.mark.parametrize("fault", ["wrong", "hang"])
def test_a_replica_that_fails_its_health_check_is_replaced(running, fault):
    """The check is a canary through the real scoring path; a wrong answer may get through before
    the canary sees it, a request may not be lost."""
    clients = Clients(running.url)
    clients.more(20)
    victim = running.a_replica()

    running.script(fault=fault, pid=victim.pid)
    until("its process ends", lambda: started_ticks(victim.pid) != victim.started_ticks, LIMIT_S)
    until("another one serves", lambda: running.ready_on(*running.everywhere) == 3, LIMIT_S)
    running.wait_routable(3, LIMIT_S)
    clients.more(20)
    clients.stop()

    assert clients.failed == []


def test_a_node_that_is_killed_under_load_costs_no_request(running):
    clients = Clients(running.url)
    clients.more(50)
    name = next(name for name in running.nodes if running.ready_on(name))
    others = [one for one in running.everywhere if one != name]

    running.script(fault="none")
    running.kill(name)
    until("its replicas come back elsewhere", lambda: running.ready_on(*others) == 3, LIMIT_S)
    running.wait_routable(3, LIMIT_S)
    clients.more(50)
    clients.stop()

    assert clients.failed == []
    assert clients.wrong == []


def test_a_replica_that_ray_ends_in_order_is_told_as_no_death(running, tmp_path):
    with watchdogs(running, tmp_path) as (watching, _):
        until("all are healthy", lambda: watching.healthy() == watching.expected() == 3, LIMIT_S)
        told = watching.incidents()

        running.resize(2)
        until("one has left", lambda: running.ready_on(*running.everywhere) == 2, LIMIT_S)
        until("its watchdog has seen it", lambda: watching.healthy() == 2, LIMIT_S)

        assert watching.incidents() <= told
        assert running.routable() == 2


@pytest.mark.parametrize(
    ("token", "let_in"),
    [
        pytest.param(None, False, id="without a token"),
        pytest.param("0" * 64, False, id="with another token"),
        pytest.param(ENVIRONMENT["RAY_AUTH_TOKEN"], True, id="with the cluster's"),
    ],
)
def test_a_stranger_who_reaches_rays_port_is_not_let_in(running, tmp_path, token, let_in):
    """It is open on all addresses of the host; see `Ports` in docs/operations.md."""
    environment = {**os.environ, **ENVIRONMENT, "HOME": str(tmp_path)}
    del environment["RAY_AUTH_TOKEN"]
    if token is not None:
        environment["RAY_AUTH_TOKEN"] = token
    program = "import ray, sys; ray.init(address=sys.argv[1]); print('in', len(ray.nodes()))"

    done = subprocess.run(
        [sys.executable, "-c", program, running.cluster.address],
        env=environment,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )

    assert (done.returncode == 0, "in 3" in done.stdout) == (let_in, let_in), done.stderr
    assert let_in or "token" in done.stderr.lower()


def test_nothing_is_reported_to_rays_makers(running):
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "from ray._common.usage.usage_lib import usage_stats_enabled as on; print(on())",
        ],
        env={**os.environ, "RAY_USAGE_STATS_ENABLED": "0"},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )

    assert done.stdout.strip() == "False"
