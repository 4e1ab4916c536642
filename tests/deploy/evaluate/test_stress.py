import pytest

from deploy.evaluate.needle import Haystack, topics
from deploy.evaluate.shipped import load
from deploy.evaluate.threshold import recommend
from deploy.evaluate.variant import VARIANTS


def hidden(depth, tokens=2000):
    haystack = Haystack("en", "en", {500: tokens}, depths=(depth,), queries=1)
    (topic,) = topics(load(), haystack)
    (needle,) = topic.judged
    text = next(each.text for each in topic.documents if each.id == needle)
    article = load().documents[f"en-{needle.split('-')[1][:2]}"].text
    return topic, text, article


@pytest.mark.parametrize("depth", [0, 25, 50, 75, 100])
def test_the_answer_is_whole_and_at_its_depth(depth):
    _, text, article = hidden(depth, tokens=6000)
    assert article in text
    before = text.index(article) / max(1, len(text) - len(article))
    assert before == pytest.approx(depth / 100, abs=0.02)


def test_the_other_documents_are_as_long_and_do_not_hold_the_answer():
    topic, text, article = hidden(50)
    others = [each.text for each in topic.documents if each.text != text]
    assert len(others) == 5
    assert all(article[:60] not in each for each in others)
    assert all(abs(len(each) - len(text)) < 10 for each in others)


def test_the_hay_is_the_same_at_every_depth():
    straws = [
        [each.text for each in hidden(depth)[0].documents if each.id.startswith("straw")]
        for depth in (0, 100)
    ]
    assert straws[0] == straws[1]


@pytest.mark.parametrize(
    ("name", "text", "written"),
    [
        ("as written", "Why?", "Why?"),
        ("no ?", "为什么？", "为什么"),
        ("ASCII ?", "为什么？", "为什么?"),
        ("full-width ?", "Why?", "Why？"),
        ("upper case", "BERT why", "BERT WHY"),
        ("lower case", "BERT why", "bert why"),
        ("full-width", "BERT 1", "ＢＥＲＴ\u3000１"),
        ("extra spaces", "a b", "  a  b "),
    ],
)
def test_variants_change_how_and_not_what_is_asked(name, text, written):
    assert VARIANTS[name](text) == written


def test_every_variant_has_an_example():
    assert len(VARIANTS) == 8


@pytest.mark.parametrize(
    ("scores", "relevant", "cut", "f1"),
    [
        pytest.param([0.9, 0.8, 0.2], [True, True, False], 0.8, 1.0, id="separable"),
        pytest.param([0.2, 0.9, 0.8], [False, True, True], 0.8, 1.0, id="any order"),
        pytest.param([0.9, 0.9, 0.1], [True, False, False], 0.9, 2 / 3, id="a tie is one cut"),
        pytest.param([0.1, 0.9], [True, False], 0.1, 2 / 3, id="upside down: keep all"),
    ],
)
def test_the_threshold_has_the_largest_f1(scores, relevant, cut, f1):
    found = recommend(scores, relevant)
    assert found.score == cut
    assert found.f1 == pytest.approx(f1)


@pytest.mark.parametrize("relevant", [[True, True], [False, False]])
def test_labels_of_one_kind_give_no_threshold(relevant):
    assert recommend([0.1, 0.9], relevant) is None


def test_scores_that_mean_what_they_say_are_calibrated():
    half = recommend([0.55] * 100, [True] * 55 + [False] * 45)
    assert half.calibration_error == pytest.approx(0)
    sure = recommend([0.95] * 100, [True] * 55 + [False] * 45)
    assert sure.calibration_error == pytest.approx(0.4)


def test_scores_outside_0_to_1_have_no_calibration():
    assert recommend([3.0, -2.0], [True, False]).calibration_error is None
