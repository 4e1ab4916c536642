import pytest

from deploy.evaluate.candidates import everything, from_run, topics_of
from deploy.evaluate.dataset import DataError, Dataset, Text, pairs_of, parse_pair


def two_languages(queries=4):
    texts = [Text(f"{lang}{n}", f"text {n}", lang) for lang in ("en", "fr") for n in range(queries)]
    asked = [Text(f"q{n}", f"query {n}", "en") for n in range(queries)]
    return Dataset(
        name="two",
        queries={each.id: each for each in asked},
        documents={each.id: each for each in texts},
        judgements={f"q{n}": {f"en{n}": 1, f"fr{n}": 2, f"fr{n + 1}": 0} for n in range(queries)},
    )


def test_without_named_pairs_every_judged_pair_is_measured():
    pairs = pairs_of(two_languages())
    assert [(pair.query_lang, pair.doc_lang) for pair in pairs] == [("en", "en"), ("en", "fr")]
    assert all(len(pair.pool) == 4 for pair in pairs)


@pytest.mark.parametrize(
    ("limit", "ids"),
    [
        pytest.param(None, ["q0", "q1", "q2", "q3"], id="all"),
        pytest.param(2, ["q0", "q2"], id="at even distances"),
        pytest.param(9, ["q0", "q1", "q2", "q3"], id="more than there are"),
    ],
)
def test_a_limit_takes_the_same_queries_every_time(limit, ids):
    (pair,) = pairs_of(two_languages(), only=[("en", "fr")], max_queries=limit)
    assert [query.id for query in pair.queries] == ids


def test_a_pair_without_judgements_is_an_error_that_names_it():
    with pytest.raises(DataError, match="fr>en"):
        pairs_of(two_languages(), only=[("fr", "en")])


def test_a_topic_knows_the_judgements_of_its_own_language_only():
    dataset = two_languages()
    topics = topics_of(dataset, pairs_of(dataset), everything, seed=1)
    topic = next(each for each in topics if each.key == "q1>fr")
    assert topic.judged == {"fr1": 2, "fr2": 0}


def test_candidates_are_shuffled_and_the_same_for_the_same_seed():
    dataset = two_languages(30)
    pairs = pairs_of(dataset, only=[("en", "en")])
    orders = [
        [document.id for document in topics_of(dataset, pairs, everything, seed=seed)[0].documents]
        for seed in (1, 1, 2)
    ]
    assert orders[0] == orders[1] != orders[2]
    assert sorted(orders[0]) == sorted(orders[2])


def test_a_run_chooses_the_candidates_and_unknown_ids_are_left_out():
    dataset = two_languages()
    choose = from_run({"q0": ["en3", "nobody", "en0", "en1"]}, limit=2)
    topics = topics_of(dataset, pairs_of(dataset, only=[("en", "en")]), choose, seed=1)
    assert [sorted(each.id for each in topic.documents) for topic in topics] == [["en0", "en3"]]


def test_a_run_of_another_data_set_is_an_error():
    dataset = two_languages()
    with pytest.raises(DataError, match="candidate"):
        topics_of(dataset, pairs_of(dataset), from_run({"x": ["y"]}, limit=9), seed=1)


def test_a_pool_that_is_too_large_needs_a_first_stage():
    dataset = two_languages(1001)
    pairs = pairs_of(dataset, only=[("en", "en")], max_queries=1)
    with pytest.raises(DataError, match="bm25"):
        topics_of(dataset, pairs, everything, seed=1)


@pytest.mark.parametrize(
    ("text", "pair"),
    [
        ("zh>en", ("zh", "en")),
        ("zh-en", ("zh", "en")),
        ("zh-Hans:en", ("zh-Hans", "en")),
        ("zh-Hans>pt-BR", ("zh-Hans", "pt-BR")),
    ],
)
def test_a_pair_is_two_tags_with_a_mark_between(text, pair):
    assert parse_pair(text) == pair


@pytest.mark.parametrize("text", ["", "en", ">en", "en>", "zh-Hans-en", "a>b>c"])
def test_what_is_no_pair_is_refused(text):
    with pytest.raises(DataError):
        parse_pair(text)


def test_the_digest_changes_with_any_text_or_judgement():
    from dataclasses import replace

    dataset = two_languages()
    changed = dict(dataset.documents) | {"en0": Text("en0", "other", "en")}
    judged = dict(dataset.judgements) | {"q0": {"en0": 0}}
    digests = {
        dataset.digest(),
        replace(dataset, documents=changed).digest(),
        replace(dataset, judgements=judged).digest(),
    }
    assert len(digests) == 3
    assert two_languages().digest() == dataset.digest()
