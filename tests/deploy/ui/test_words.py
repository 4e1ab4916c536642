from __future__ import annotations

import dataclasses
import string

import pytest

from deploy.ui.complaint import Cause, Refused, sentence
from deploy.ui.example import EXAMPLES
from deploy.ui.words import EN, LANGUAGES, ZH, choose


@pytest.mark.parametrize(
    ("header", "code"),
    [
        pytest.param("", "en", id="nothing said"),
        pytest.param("zh-CN,zh;q=0.9,en;q=0.8", "zh", id="Chinese"),
        pytest.param("zh-Hant", "zh", id="traditional Chinese"),
        pytest.param("de-DE,de;q=0.9", "en", id="a language that we lack"),
        pytest.param("de, zh;q=0.5, en;q=0.9", "en", id="English before Chinese"),
        pytest.param("fr;q=0.9, zh;q=0.8", "zh", id="the first that we have"),
        pytest.param("zh;q=x, *;q=,,;;", "en", id="nonsense"),
    ],
)
def test_the_browser_chooses_the_language(header, code):
    assert choose(header).code == code


def names_in(text):
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def test_every_sentence_is_in_both_languages_and_takes_the_same_values():
    for item in dataclasses.fields(EN):
        english, chinese = getattr(EN, item.name), getattr(ZH, item.name)
        if isinstance(english, str):
            assert english, item.name
            assert chinese, item.name
            assert names_in(english) == names_in(chinese), item.name
        elif isinstance(english, tuple):
            assert len(english) == len(chinese)
        else:
            assert {k: names_in(v) for k, v in english.items()} == {
                k: names_in(v) for k, v in chinese.items()
            }


@pytest.mark.parametrize(
    ("refused", "words"),
    [
        (Refused(0, Cause.DOWN), "rankguard up"),
        (Refused(0, Cause.SLOW), "in time"),
        (Refused(0, Cause.STRANGE), "gateway_url"),
        (Refused(401), "api_key_file"),
        (Refused(404), "path"),
        (Refused(413), "more than the service takes"),
        (
            Refused(422, message="must be a string", param="documents[3]"),
            "Document 4 is not accepted: must be a string.",
        ),
        (Refused(422, message="is blank", param="query"), "query is not accepted: is blank."),
        (Refused(422, message="no"), "The request is not accepted: no."),
        (Refused(429, retry_after_s=2.1), "Try again in 3 s."),
        (Refused(429), "too much to do"),
        (Refused(503, message="draining", retry_after_s=0.0), "(draining). Try again in 1 s."),
        (Refused(504), "did not finish"),
        (Refused(500, message="engine failed"), "status 500: engine failed"),
        (Refused(302), "status 302: no reason given"),
    ],
    ids=lambda value: None if isinstance(value, str) else f"{value.status}-{value.param}",
)
def test_an_error_of_the_service_is_a_sentence(refused, words):
    assert words in sentence(refused, EN)
    for language in LANGUAGES.values():
        said = sentence(refused, language)
        assert "{" not in said
        assert said.rstrip()[-1] in ".。?？"


def test_there_are_examples_in_at_least_eight_languages_the_articles_first():
    assert len({example.name for example in EXAMPLES}) >= 8
    assert "AttributeError" in EXAMPLES[0].query
    for example in EXAMPLES:
        assert len(example.documents) >= 4
        assert not any("\n" in document for document in example.documents)
