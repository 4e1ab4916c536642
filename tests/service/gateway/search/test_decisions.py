"""What a search decides: fusion, stages, movement, batch sizes, which sources are whole."""

from __future__ import annotations

import pytest

from service.gateway.search import fusion, outcome
from service.gateway.search.indexer import BATCH_MOST, next_size
from service.gateway.search.outcome import Found, Movement
from service.gateway.search.passage import Mark, Passage, complete
from service.gateway.search.plan import Plan, Recall, Rerank, Why, decide
from service.gateway.search.words import tokens


@pytest.mark.parametrize(
    ("rankings", "order"),
    [
        pytest.param([["a", "b"], ["b", "c"]], ["b", "a", "c"], id="in both is best"),
        pytest.param([["a", "b"], []], ["a", "b"], id="one ranking keeps its order"),
        pytest.param([["a"], ["b"]], ["a", "b"], id="a tie goes to the earlier ranking"),
        pytest.param([["a", "a", "b"], ["b"]], ["b", "a"], id="twice counts once"),
        pytest.param([[], []], [], id="nothing"),
        pytest.param(
            [["x", "a", "b"], ["y", "b", "a"]], ["a", "b", "x", "y"], id="agreement beats one first"
        ),
    ],
)
def test_reciprocal_rank_fusion(rankings, order):
    assert [item for item, _ in fusion.reciprocal_rank(rankings)] == order


def test_the_sum_is_that_of_the_paper():
    [(_, first), (_, second)] = fusion.reciprocal_rank([["a", "b"], ["a"]])
    assert first == pytest.approx(1 / 61 + 1 / 61)
    assert second == pytest.approx(1 / 62)


@pytest.mark.parametrize(
    ("recall", "rerank", "same", "second", "why"),
    [
        pytest.param("dense", "auto", False, True, Why.TWO_STAGES, id="two models: both stages"),
        pytest.param("fusion", "auto", False, True, Why.TWO_STAGES, id="fused, then the other"),
        pytest.param("dense", "auto", True, False, Why.SAME_MODEL, id="one model: vectors alone"),
        pytest.param("fusion", "auto", True, False, Why.SAME_MODEL_FUSED, id="one model: fusion"),
        pytest.param("lexical", "auto", True, True, Why.TWO_STAGES, id="words are no model"),
        pytest.param("dense", "always", True, True, Why.SAME_MODEL_ANYWAY, id="said when useless"),
        pytest.param("fusion", "always", True, True, Why.SAME_MODEL_ANYWAY, id="and when harmful"),
        pytest.param("lexical", "always", True, True, Why.TWO_STAGES, id="words, reranked"),
        pytest.param("dense", "never", False, False, Why.ASKED, id="left out as asked"),
        pytest.param("lexical", "never", True, False, Why.ASKED, id="words alone"),
    ],
)
def test_the_stages_of_a_search(recall, rerank, same, second, why):
    found = decide(Recall(recall), Rerank(rerank), same_model=same)
    assert found == Plan(Recall(recall), second, why)


def found(source: str, rank: int) -> Found:
    return Found(Passage("/f", source, rank, "", "", ""), recall_rank=rank, rank=rank)


@pytest.mark.parametrize(
    ("sources", "top", "per_source", "kept"),
    [
        pytest.param("aabac", 10, 1, [1, 3, 5], id="the best of each source"),
        pytest.param("aabac", 10, 2, [1, 2, 3, 5], id="two of each"),
        pytest.param("aabac", 10, 0, [1, 2, 3, 4, 5], id="no limit"),
        pytest.param("aabac", 2, 1, [1, 3], id="no more than asked"),
        pytest.param("", 5, 1, [], id="nothing"),
    ],
)
def test_results_of_one_source_are_limited(sources, top, per_source, kept):
    whole = [found(source, rank) for rank, source in enumerate(sources, start=1)]
    chosen = outcome.spread(whole, top=top, per_source=per_source)
    assert [one.rank for one in chosen] == kept


@pytest.mark.parametrize(
    ("before", "after", "movement"),
    [
        pytest.param("abc", "abc", Movement(0, 0, False), id="nothing changed"),
        pytest.param("abc", "bac", Movement(0, 2, True), id="two changed places"),
        pytest.param("abc", "abx", Movement(1, 1, False), id="one came from below"),
        pytest.param("abc", "xyz", Movement(3, 3, True), id="all are others"),
        pytest.param("", "", Movement(0, 0, False), id="nothing was found"),
    ],
)
def test_what_reranking_changed(before, after, movement):
    assert outcome.movement(list(before), list(after)) == movement


@pytest.mark.parametrize(
    ("size", "seconds", "expected"),
    [
        pytest.param(8, 0.2, 16, id="quick: larger"),
        pytest.param(BATCH_MOST, 0.2, BATCH_MOST, id="never beyond the most"),
        pytest.param(8, 2.0, 8, id="in between: as it is"),
        pytest.param(8, 9.0, 4, id="slow: smaller"),
        pytest.param(1, 9.0, 1, id="never none"),
    ],
)
def test_batches_follow_the_models_speed(size, seconds, expected):
    assert next_size(size, seconds) == expected


def test_a_source_is_there_when_its_first_passage_is():
    marks = [Mark("whole", 1, "d"), Mark("whole", 0, "d"), Mark("part", 2, "d")]
    assert complete(marks) == {"whole": "d", "part": ""}
    assert complete(reversed(marks)) == {"whole": "d", "part": ""}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("Drain a REPLICA", ["drain", "a", "replica"], id="lower case"),
        pytest.param("重启副本", ["重启", "启副", "副本"], id="pairs where nothing is spaced"),
        pytest.param("GPU掉卡", ["gpu", "掉卡"], id="both in one word"),
        pytest.param("a-b_c.d", ["a", "b_c", "d"], id="marks separate"),
        pytest.param("…", [], id="no word"),
    ],
)
def test_the_words_of_a_text(text, expected):
    assert tokens(text) == expected


def test_a_passage_has_an_id_of_its_own_and_the_same_one_again():
    one = Passage("/f", "a", 0, "t", "x", "d")
    assert one.id == Passage("/f", "a", 0, "other", "other", "e").id
    others = {("/f", "a", 1), ("/f", "b", 0), ("/g", "a", 0)}
    ids = {Passage(folder, source, place, "", "", "").id for folder, source, place in others}
    assert len(ids | {one.id}) == 4
