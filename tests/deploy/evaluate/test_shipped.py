from deploy.evaluate import shipped
from deploy.evaluate.builders import udhr
from deploy.evaluate.dataset import judged_within, pairs_of


def test_the_shipped_set_covers_39_languages_with_30_articles_each():
    dataset = shipped.load()
    assert {document.lang for document in dataset.documents.values()} == set(udhr.LANGUAGES)
    assert len(dataset.documents) == 39 * 30
    assert all(len(document.text) > 10 for document in dataset.documents.values())


def test_the_shipped_set_asks_every_article_in_ten_languages():
    dataset = shipped.load()
    assert len(dataset.queries) == 300
    assert len({query.text for query in dataset.queries.values()}) == 300
    assert len({query.lang for query in dataset.queries.values()}) == 10


def test_a_question_is_answered_by_its_own_article_only():
    dataset = shipped.load()
    query = dataset.queries["q-en-24"]
    assert "holiday" in query.text
    assert judged_within(dataset, query, "en") == {"en-24": 1}
    assert "holidays with pay" in dataset.documents["en-24"].text


def test_the_default_pairs_hold_the_articles_own_and_every_language_as_documents():
    pairs = pairs_of(shipped.load(), max_queries=8)
    names = {(pair.query_lang, pair.doc_lang) for pair in pairs}
    assert {("zh-Hans", "en"), ("ar", "fr"), ("ja", "vi"), ("es", "pt")} <= names
    assert {pair.doc_lang for pair in pairs} == set(udhr.LANGUAGES)
    assert all(len(pair.queries) == 8 for pair in pairs)


def test_no_heading_gives_an_articles_number_away():
    for document in shipped.load().documents.values():
        number = str(int(document.id.rpartition("-")[2]))
        assert number not in document.text.split()[:2]


def test_packing_the_same_texts_gives_the_same_bytes():
    articles = list(shipped.load().documents.values())
    assert shipped.pack(articles) == shipped.pack(articles[::-1])
