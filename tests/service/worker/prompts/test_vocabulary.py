from __future__ import annotations

import pytest

from service.worker.prompts.fitting import windows
from service.worker.prompts.vocabulary import Vocabulary
from tests.service.worker.prompts.conftest import bert_json, with_added


@pytest.mark.parametrize(
    ("text", "tokens", "is_beginning"),
    [
        pytest.param("sky", 1, False, id="short"),
        pytest.param("sky " * 5, 5, False, id="at the limit"),
        pytest.param("sky " * 4000, 5, True, id="far over the limit"),
        pytest.param("sky" + " " * 5000 + "sky", 2, False, id="many characters, few tokens"),
        pytest.param(" " * 5000 + "sky " * 4000, 5, True, id="the tokens come late"),
    ],
)
def test_texts_are_read_until_there_is_more_than_the_limit(text, tokens, is_beginning):
    ((encoding, cut),) = Vocabulary(bert_json()).texts([text], limit=5)

    assert cut is is_beginning
    assert len(encoding) > 5 if cut else len(encoding) == tokens


@pytest.mark.parametrize(
    ("content", "special", "stays"),
    [
        pytest.param("<think>", False, False, id="markup goes"),
        pytest.param("<|x|>", True, False, id="special goes"),
        pytest.param("    ", False, True, id="white space stays"),
        pytest.param("\n\n", True, False, id="special white space goes"),
    ],
)
def test_added_tokens_of_white_space_stay(content, special, stays):
    vocabulary = Vocabulary(with_added(content, special=special))

    added = vocabulary.token_id(content)
    assert added in vocabulary.template(f"red{content}sky")
    assert (added in vocabulary.text(f"red{content}sky").ids) is stays


def test_added_tokens_that_stay_keep_their_ids():
    body = with_added("<gone>", "    ")
    vocabulary = Vocabulary(body)

    assert vocabulary.text("red    sky").ids == vocabulary.template("red    sky")
    assert vocabulary.token_id("    ") in vocabulary.text("red    sky").ids


@pytest.mark.parametrize(
    ("tokens", "size", "spans"),
    [
        pytest.param(3, 8, [(0, 6)], id="fits in one"),
        pytest.param(8, 8, [(0, 16)], id="fits exactly"),
        pytest.param(10, 8, [(0, 16), (14, 20)], id="two that overlap"),
        pytest.param(2, 1, [(0, 2), (2, 4)], id="one token each"),
        pytest.param(0, 8, [(0, 0)], id="no token at all"),
    ],
)
def test_windows_overlap_and_cover(tokens, size, spans):
    starts = [2 * n for n in range(tokens)]

    assert windows(starts, 2 * tokens, size) == spans


def test_windows_are_not_endless():
    assert len(windows(range(10_000), 10_000, 8, most=5)) == 5
