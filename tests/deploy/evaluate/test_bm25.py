import pytest

from deploy.evaluate.bm25 import Bm25System, Index, tokens
from deploy.evaluate.dataset import Pair, Text, Topic

POOL = (
    Text("ship", "ships carry tea over the sea", "en"),
    Text("sugar", "plants make sugar from light", "en"),
    Text("empty", "", "en"),
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("Two WORDS.", ["two", "words"], id="words are lower-cased"),
        pytest.param("всё это", ["всё", "это"], id="Cyrillic"),
        pytest.param("人权宣言", ["人权", "权宣", "宣言"], id="Han in pairs of characters"),
        pytest.param("GPU显存", ["gpu", "显存"], id="mixed"),
        pytest.param("ทุกคน", ["ทุ", "ุก", "กค", "คน"], id="Thai with its marks"),
        pytest.param("人", ["人"], id="one character"),
        pytest.param(" .,;", [], id="nothing"),
    ],
)
def test_text_is_cut_into_tokens_that_fit_its_script(text, expected):
    assert tokens(text) == expected


def test_the_document_that_shares_words_comes_first():
    assert Index(POOL).top("how do plants make sugar", 2)[0] == "sugar"


def test_a_query_without_a_known_word_scores_everything_zero():
    assert list(Index(POOL).scores("zzz 什么")) == [0, 0, 0]


async def test_as_a_system_it_orders_a_topics_candidates():
    query = Text("q", "tea on ships", "en")
    system = Bm25System([Pair("en", "en", (query,), POOL)])
    ranked = await system.rank(Topic(query, "en", POOL[::-1], {"ship": 1}))
    assert ranked.order[0] == 2
    assert "bm25s" in system.describe()["model"]
