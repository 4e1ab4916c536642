"""A document that ends every engine which scores it: refused by name, and nobody else is lost."""

from __future__ import annotations

import pytest
import requests

from tests.e2e.stack import RIGHT, Load, stack
from tests.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


@pytest.fixture
def two(tmp_path):
    with stack(tmp_path, replicas=2, document_s=0.004) as running:
        running.start("watchdog", "watch", "--stop-replicas-on-exit")
        running.start("gateway", "serve")
        running.wait_ready(replicas=2)
        yield running


def restarts(running) -> int:
    return sum(replica["restarts"] for replica in running.status()["replicas"])


def incident(running, name) -> dict | None:
    return next((one for one in running.incidents() if one["name"] == name), None)


def refusals(running) -> float:
    text = requests.get(f"{running.url}/metrics", timeout=5).text
    (line,) = [one for one in text.splitlines() if one.startswith("rankguard_poison_requests_to")]
    return float(line.split()[-1])


def test_a_document_that_ends_engines_is_refused_and_the_others_lose_nothing(two):
    two.script(document_s=0.004, poison="cursed")
    load = Load(two)
    load.at_least(50)
    poison = {"documents": ["a fine page", "a cursed page", RIGHT]}
    first = two.rerank(**poison)
    again = two.rerank(documents=[RIGHT, "a cursed page"])
    until("both replicas are back", lambda: two.routable() == 2, 40)
    load.at_least(len(load.answers) + 100)
    lost = load.stop()

    assert lost == []
    for answer, named in ((first, "documents[1]"), (again, "documents[1]")):
        assert answer.status_code == 422
        assert answer.json()["error"]["code"] == "poison_request"
        assert named in answer.json()["error"]["message"]
    assert restarts(two) in {3, 4}  # the fourth where the other one left in the same second
    assert refusals(two) == 2
    until("it is told of", lambda: incident(two, "PoisonRequest"), 60)
    assert incident(two, "PoisonRequest")["reason"] == "poison_request"
    assert two.rerank(query="another question").status_code == 200
