import math

import pytest

from deploy.evaluate.dialect import DIALECTS, BadAnswer, read


def results(*pairs):
    return {"results": [{"index": index, "relevance_score": score} for index, score in pairs]}


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        pytest.param("jina", results((1, 0.9), (0, 0.1)), id="jina"),
        pytest.param("vllm", results((1, 0.9), (0, 0.1)), id="vllm"),
        pytest.param("cohere", results((1, 0.9), (0, 0.1)), id="cohere"),
        pytest.param("tei", [{"index": 1, "score": 0.9}, {"index": 0, "score": 0.1}], id="tei"),
        pytest.param(
            "score", {"data": [{"index": 0, "score": 0.1}, {"index": 1, "score": 0.9}]}, id="score"
        ),
    ],
)
def test_scores_come_back_in_the_documents_order_whatever_the_dialect(name, answer):
    ranked = read(DIALECTS[name], answer, 2)
    assert ranked.scores == (0.1, 0.9)
    assert ranked.order == (1, 0)


def test_equal_scores_keep_the_order_that_the_endpoint_gave():
    ranked = read(DIALECTS["jina"], results((2, 1.0), (0, 1.0), (1, 0.5)), 3)
    assert ranked.order == (2, 0, 1)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param({}, id="no list"),
        pytest.param("sorry", id="a string"),
        pytest.param(results((0, 0.5)), id="a document is missing"),
        pytest.param(results((0, 0.5), (0, 0.5)), id="a document comes twice"),
        pytest.param(results((0, 0.5), (2, 0.5)), id="an index that was not sent"),
        pytest.param(results((0, 0.5), (1, math.nan)), id="not a number"),
        pytest.param(results((0, 0.5), (1, math.inf)), id="infinite"),
        pytest.param(results((0, 0.5), (1, "0.5")), id="a string as score"),
        pytest.param({"results": [1, 2]}, id="results that are no objects"),
    ],
)
def test_an_answer_that_does_not_score_every_document_once_is_refused(answer):
    with pytest.raises(BadAnswer):
        read(DIALECTS["jina"], answer, 2)


@pytest.mark.parametrize(
    ("extra", "tokens"),
    [
        pytest.param({"usage": {"total_tokens": 12}}, 12, id="jina and vllm"),
        pytest.param({"meta": {"tokens": {"input_tokens": 9}}}, 9, id="cohere"),
        pytest.param({}, None, id="not told"),
        pytest.param({"usage": None, "meta": None}, None, id="null"),
    ],
)
def test_tokens_are_what_the_endpoint_says_or_unknown(extra, tokens):
    assert read(DIALECTS["jina"], results((0, 0.5)) | extra, 1).tokens == tokens


def test_a_body_names_model_and_instruction_only_where_they_are_given():
    jina = DIALECTS["jina"].body("", "q", ["a"], "")
    assert jina == {"query": "q", "documents": ["a"], "return_documents": False}
    assert DIALECTS["jina"].body("m", "q", ["a"], "i")["instruction"] == "i"
    assert DIALECTS["tei"].body("m", "q", ["a"], "i") == {
        "query": "q",
        "texts": ["a"],
        "truncate": True,
    }
