from __future__ import annotations

import pytest

from deploy.ui import show
from deploy.ui.answer import BadAnswer
from deploy.ui.findings import LONGEST_PASSAGE, read_findings
from deploy.ui.words import EN

RESULT = {
    "source": "guide/drain.md",
    "place": 3,
    "title": "Draining",
    "text": "<b>drain</b> it",
    "rank": 1,
    "recall_rank": 4,
    "dense_rank": 4,
    "lexical_rank": None,
    "relevance_score": 0.75,
}
META = {
    "recall": "dense",
    "rerank": True,
    "why": "recall by vectors, then reranked",
    "candidates": 40,
    "recall_model": "embedder",
    "rerank_model": "reranker",
    "times_ms": {"embed": 1.0, "open": 0.1, "recall": 2.0, "rerank": 30.0, "total": 33.5},
    "movement": {"entered": 1, "moved": 2, "is_first_new": True},
}


def body(*results, **meta):
    return {"results": list(results), "meta": {**META, **meta}}


def test_a_passage_has_its_source_its_score_and_where_the_first_stage_had_it():
    page = show.found(read_findings(body(RESULT)), EN)

    for text in (
        "Draining · guide/drain.md",
        "0.7500",
        "▲3</span> <small>recalled as 4",
        "&lt;b&gt;drain",
        "embedder + reranker",
        "<b>candidates</b> 40",
        "<b>reranked</b> 30 ms",
        "recall by vectors, then reranked",
    ):
        assert text in page


def test_without_a_second_stage_there_is_no_bar_and_no_movement():
    alone = {**RESULT, "relevance_score": None, "title": ""}
    meta = {"rerank": False, "rerank_model": "", "times_ms": {**META["times_ms"], "rerank": None}}

    page = show.found(read_findings(body(alone, **meta)), EN)

    assert "rg-bar" not in page
    assert "▲" not in page
    assert "reranked</b>" not in page
    assert "<p class='rg-title' dir='auto'>guide/drain.md</p>" in page


def test_one_model_in_both_stages_is_named_once():
    found = read_findings(body(RESULT, recall_model="m", rerank_model="m"))

    assert found.models == ("m",)


def test_a_passage_is_shown_as_one_short_paragraph():
    (row,) = read_findings(body({**RESULT, "text": "# A\n\n" + "word " * 200})).rows

    assert row.text.startswith("# A word word")
    assert len(row.text) == LONGEST_PASSAGE
    assert row.text.endswith("…")


def test_nothing_found_is_said():
    assert EN.search_empty in show.found(read_findings(body()), EN)


@pytest.mark.parametrize(
    "strange",
    [
        pytest.param(None, id="no JSON"),
        pytest.param({"results": []}, id="no meta"),
        pytest.param({"results": {}, "meta": META}, id="results are no list"),
        pytest.param(body({**RESULT, "rank": "1"}), id="a rank that is text"),
        pytest.param(body({**RESULT, "relevance_score": "x"}), id="a score that is no number"),
        pytest.param(body({"rank": 1}), id="half a result"),
        pytest.param(body(RESULT, times_ms=[]), id="times are no object"),
    ],
)
def test_what_is_no_search_answer_is_refused(strange):
    with pytest.raises(BadAnswer):
        read_findings(strange)
