from __future__ import annotations

import json

import pytest

from deploy.ui.kept import Kept, read_kept

WHOLE = Kept(
    query="q",
    typed="a\nb",
    file="/uploads/x/a.txt",
    instruction="@faq",
    compare=True,
    second="其他",
    wanted="drain",
    top=3,
    asked=True,
    found=True,
    searching=True,
)


def as_sent(kept, **other):
    return json.dumps({name: getattr(kept, name) for name in Kept.__slots__} | other)


def test_what_was_kept_comes_back_whole():
    assert read_kept(as_sent(WHOLE)) == WHOLE


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="nothing kept"),
        pytest.param("null", id="null"),
        pytest.param("[1]", id="a list"),
        pytest.param("{", id="cut off"),
        pytest.param("[" * 100_000, id="deeper than Python follows"),
    ],
)
def test_what_is_no_record_is_none(text):
    assert read_kept(text) is None


@pytest.mark.parametrize(
    ("other", "name"),
    [
        pytest.param({"query": None}, "query", id="null"),
        pytest.param({"file": {"path": "/etc/passwd"}}, "file", id="an object"),
        pytest.param({"compare": "yes"}, "compare", id="a string for a mark"),
        pytest.param({"top": True}, "top", id="a mark for a number"),
        pytest.param({"top": 1e400}, "top", id="no whole number"),
    ],
)
def test_a_value_of_a_wrong_type_is_none_and_the_rest_stays(other, name):
    found = read_kept(as_sent(WHOLE, **other))

    assert getattr(found, name) == getattr(Kept(), name)
    assert found.searching is True


def test_an_unknown_name_is_left_out():
    assert read_kept('{"query": "q", "more": 1}') == Kept(query="q")
