from __future__ import annotations

import numpy as np
import pytest

from deploy.evaluate import choice
from deploy.evaluate.dataset import DataError, Dataset, Text
from deploy.evaluate.dialect import BadAnswer
from deploy.evaluate.embedding import vectors
from deploy.evaluate.session import Plan, Watch, evaluate
from tests.deploy.evaluate.server import Endpoint, serving

TEXTS = {
    "d-sky": "the sky is blue",
    "d-sea": "the sea is deep",
    "d-key": "reset a lost key",
    "d-cat": "a cat sleeps",
}
ASKED = {"q-key": "how to reset my lost key?", "q-sky": "why is the sky blue?"}


def dataset():
    return Dataset(
        name="small",
        queries={key: Text(key, text, "en") for key, text in ASKED.items()},
        documents={key: Text(key, text, "en") for key, text in TEXTS.items()},
        judgements={"q-key": {"d-key": 1}, "q-sky": {"d-sky": 1}},
    )


def run(server, *systems, **changes):
    targets = choice.targets(
        server.url, list(systems), model="", instructions=[], keys={}, elsewhere=False
    )
    plan = Plan(dataset=dataset(), targets=targets, **changes)
    return evaluate(plan, Watch(begin=lambda _: None, done=lambda _: None))


def asked_for_vectors(server):
    return [body for path, body in server.bodies if path == "/v1/embeddings"]


def test_cosine_of_embeddings_is_a_system_beside_the_reranker():
    with serving(Endpoint(scorer=lambda *_: 0.5)) as server:
        outcome = run(server, "embedding")

    assert [result.system for result in outcome.results] == ["rankguard", "embedding"]
    assert outcome.results[1].mean.ndcg_at_10 == 1.0


def test_each_document_is_embedded_once_and_queries_are_told_apart_from_documents():
    with serving(Endpoint()) as server:
        run(server, "embedding", concurrency=2)

    asked = asked_for_vectors(server)
    documents = [
        text for body in asked if body["input_type"] == "document" for text in body["input"]
    ]
    queries = [text for body in asked if body["input_type"] == "query" for text in body["input"]]
    assert sorted(documents) == sorted(TEXTS.values())
    assert sorted(queries) == sorted(ASKED.values())


def test_a_first_stage_by_embeddings_hands_on_the_nearest_documents():
    with serving(Endpoint()) as server:
        outcome = run(server, candidates="embedding:2")

    reranked = [body for path, body in server.bodies if path == "/v1/rerank"]
    assert [len(body["documents"]) for body in reranked] == [2, 2]
    assert outcome.results[0].mean.recall_at_100 == 1.0


def test_an_endpoint_elsewhere_may_give_the_vectors():
    with serving(Endpoint()) as ours, serving(Endpoint()) as other:
        run(ours, f"e5=embedding+{other.url}")

    assert asked_for_vectors(other)
    assert not asked_for_vectors(ours)


def test_candidates_of_an_unknown_kind_are_refused():
    with serving(Endpoint()) as server, pytest.raises(DataError, match="embedding:COUNT"):
        run(server, candidates="dense:5")


def test_vectors_are_read_in_the_order_of_the_texts_with_length_1():
    answer = {"data": [{"index": 1, "embedding": [0, 2]}, {"index": 0, "embedding": [3, 4]}]}

    first, second = vectors(answer, 2)

    np.testing.assert_allclose(first, [0.6, 0.8], rtol=1e-6)
    np.testing.assert_allclose(second, [0.0, 1.0], rtol=1e-6)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param([{"index": 0, "embedding": [1.0]}], id="one is missing"),
        pytest.param([{"index": 0, "embedding": [1.0]}] * 2, id="an index comes twice"),
        pytest.param(
            [{"index": 0, "embedding": [1.0]}, {"index": 1, "embedding": [float("nan")]}],
            id="a number that is none",
        ),
        pytest.param(
            [{"index": 0, "embedding": [1.0]}, {"index": 1, "embedding": "AAAA"}], id="a string"
        ),
        pytest.param([{"index": 0, "embedding": [1.0]}, {"index": 1, "embedding": []}], id="empty"),
    ],
)
def test_an_answer_that_is_no_list_of_vectors_is_refused(data):
    with pytest.raises(BadAnswer):
        vectors({"data": data}, 2)
