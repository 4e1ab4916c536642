"""The words beside a store that has none: what is found, and that it survives."""

from __future__ import annotations

import pytest

from service.gateway.search.lexicon import Lexicon
from service.gateway.search.passage import Passage
from service.gateway.search.store import NothingIndexed, StoreError


def passage(source: str, text: str, place: int = 0, folder: str = "/f") -> Passage:
    return Passage(folder, source, place, "", text, "d")


@pytest.fixture
def lexicon(tmp_path):
    opened = Lexicon(tmp_path / "words.db", create=True)
    yield opened
    opened.close()


def sources(lexicon: Lexicon, query: str, limit: int = 10) -> list[str]:
    return [hit.passage.source for hit in lexicon.matching(query, limit)]


def test_rare_words_count_more_than_common_ones(lexicon):
    common = [passage(f"c{n}", "the replica runs") for n in range(20)]
    lexicon.put([*common, passage("rare", "the drain of a host")])
    assert sources(lexicon, "the replica drain", 1) == ["rare"]


def test_hits_come_whole_and_better_ones_have_higher_scores(lexicon):
    first = Passage("/f", "a.md", 3, "Guide > Drain", "drain drain", "d")
    lexicon.put([first, passage("b.md", "drain and many other words that make it longer")])

    found = lexicon.matching("drain", 10)

    assert found[0].passage == first
    assert found[0].score > found[1].score


def test_titles_are_matched_too(lexicon):
    lexicon.put([Passage("/f", "a", 0, "Draining replicas", "do this", "d")])
    assert sources(lexicon, "draining") == ["a"]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        pytest.param("重启", ["zh"], id="two characters of an unspaced script"),
        pytest.param("ПЕРЕЗАПУСК", ["ru"], id="upper case of another alphabet"),
        pytest.param('drain" OR "x', ["en"], id="quotes are no syntax"),
        pytest.param("NEAR(drain) AND NOT *", ["en"], id="operators are words"),
        pytest.param("nothing here", [], id="no shared word"),
        pytest.param("… !?", [], id="no word at all"),
        pytest.param("", [], id="an empty query"),
    ],
)
def test_queries_of_any_kind(lexicon, query, found):
    lexicon.put(
        [passage("zh", "如何重启副本"), passage("ru", "перезапуск узла"), passage("en", "drain it")]
    )
    assert sources(lexicon, query) == found


def test_a_query_of_a_whole_book_is_cut(lexicon):
    lexicon.put([passage("a", "word1")])
    assert sources(lexicon, " ".join(f"word{n}" for n in range(100_000))) == ["a"]


def test_the_same_passage_takes_its_own_place(lexicon):
    lexicon.put([passage("a", "old")])
    lexicon.put([passage("a", "new")])
    assert sources(lexicon, "old") == []
    assert sources(lexicon, "new") == ["a"]


def test_a_source_is_removed_with_all_its_passages_and_no_other(lexicon):
    lexicon.put(
        [passage("a", "x"), passage("a", "x", 1), passage("b", "x"), passage("a", "x", 0, "/g")]
    )
    lexicon.remove("/f", ["a", "never there"])
    assert [(hit.passage.folder, hit.passage.source) for hit in lexicon.matching("x", 10)] == [
        ("/f", "b"),
        ("/g", "a"),
    ]


def test_another_process_reads_while_one_writes(lexicon, tmp_path):
    lexicon.put([passage("a", "x")])
    other = Lexicon(tmp_path / "words.db", create=False)
    lexicon.put([passage("b", "x")])
    assert len(other.matching("x", 10)) == 2
    other.close()


def test_looking_makes_no_file(tmp_path):
    with pytest.raises(NothingIndexed):
        Lexicon(tmp_path / "words.db", create=False)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_index_is_said(tmp_path):
    (tmp_path / "words.db").write_bytes(b"no database " * 100)
    with pytest.raises(StoreError, match=r"words\.db"):
        Lexicon(tmp_path / "words.db", create=False)
