from __future__ import annotations

import pytest

from deploy.ui.answer import BadAnswer, Row, Timing, after, read_answer, read_timing

DOCUMENTS = ["ferry", "password", "museum"]
TIMING = Timing(1.0)


def body(*results, **more):
    return {"model": "m", "usage": {"total_tokens": 7}, "results": list(results), **more}


def result(index, score=0.5, **more):
    return {"index": index, "relevance_score": score, **more}


def test_rows_have_their_text_and_how_far_they_moved():
    answer = read_answer(body(result(2, 0.9), result(0, 0.1)), DOCUMENTS, TIMING)

    assert [(row.rank, row.before, row.moved, row.text) for row in answer.rows] == [
        (1, 3, 2, "museum"),
        (2, 1, -1, "ferry"),
    ]
    assert (answer.model, answer.tokens, answer.warnings) == ("m", 7, ())


@pytest.mark.parametrize(
    ("more", "wanted"),
    [
        pytest.param({"truncated": True}, {"truncated": True}, id="a cut document is marked"),
        pytest.param({"span": [3, 9]}, {"span": (3, 9)}, id="the best window is known"),
        pytest.param({"error": "no score"}, {"error": "no score"}, id="no score, and why"),
        pytest.param({"relevance_score": float("nan")}, {"score": 0.0}, id="NaN draws no bar"),
    ],
)
def test_marks_of_a_result_come_through(more, wanted):
    (row,) = read_answer(body({**result(1), **more}), DOCUMENTS, TIMING).rows

    assert {name: getattr(row, name) for name in wanted} == wanted


def test_warnings_come_through_but_for_those_that_rows_are_marked_with():
    cut = "documents[0] did not fit whole and was truncated"  # the row's mark says it
    meta = {"warnings": ["documents[1] is empty", cut, "and 980 more warnings"]}

    answer = read_answer(body(result(0), meta=meta), DOCUMENTS, TIMING)

    assert answer.warnings == ("documents[1] is empty",)


@pytest.mark.parametrize(
    "strange",
    [
        pytest.param(None, id="no JSON"),
        pytest.param([], id="a list"),
        pytest.param({}, id="no results"),
        pytest.param({"results": {}}, id="results are no list"),
        pytest.param(body(3), id="a result is no object"),
        pytest.param(body({"index": 0}), id="no score"),
        pytest.param(body(result(3)), id="a document that was not sent"),
        pytest.param(body(result(-1)), id="a negative index"),
        pytest.param(body(result("0")), id="an index that is text"),
        pytest.param(body(result(0, "high")), id="a score that is text"),
        pytest.param(body(result(0), usage={"total_tokens": "many"}), id="tokens that are text"),
    ],
)
def test_what_is_no_rerank_answer_is_refused(strange):
    with pytest.raises(BadAnswer):
        read_answer(strange, DOCUMENTS, TIMING)


@pytest.mark.parametrize(
    ("header", "wanted"),
    [
        pytest.param(
            'queue;dur=1.50, score;dur=20.25, total;dur=22.00, replicas;desc="replica-0 replica-1"',
            Timing(30.0, 1.5, 20.25, 2),
            id="all of it",
        ),
        pytest.param(
            'queue;dur=0.00, score;dur=0.00, total;dur=1.00, replicas;desc=""',
            Timing(30.0, 0.0, 0.0, 0),
            id="no replica: from the cache",
        ),
        pytest.param("", Timing(30.0), id="no header: not known"),
        pytest.param("queue;dur=., cdn", Timing(30.0), id="not a number: not known"),
    ],
)
def test_the_service_says_where_the_time_went(header, wanted):
    assert read_timing(header, 30.0) == wanted


def test_the_second_of_two_answers_moves_from_the_first_one():
    first = read_answer(body(result(2), result(0), result(1)), DOCUMENTS, TIMING)
    second = read_answer(body(result(0), result(2), result(1)), DOCUMENTS, TIMING)

    assert [(row.text, row.moved) for row in after(first, second).rows] == [
        ("ferry", 1),
        ("museum", -1),
        ("password", 0),
    ]


def test_a_row_that_stays_has_not_moved():
    assert Row(2, 2, 0.5, "").moved == 0
