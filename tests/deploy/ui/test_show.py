from __future__ import annotations

from html.parser import HTMLParser

import pytest

from deploy.ui import show
from deploy.ui.answer import Answer, Row, Timing
from deploy.ui.words import EN, ZH

NASTY = "<script>alert(1)</script><img src=x onerror=alert(1)> **b** [x](javascript:1) ${1} {{x}}"


class Seen(HTMLParser):
    """The tags of a page, and its text as a browser shows it."""

    def __init__(self, page):
        super().__init__(convert_charrefs=True)
        self.tags, self.text = set(), ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        assert not any(name.startswith("on") for name, _ in attrs)

    def handle_data(self, data):
        self.text += data


def answer(*rows, timing=None, **more):
    return Answer(rows, "a-model", 1234, timing or Timing(12.5, 1.25, 10.0, 2), **more)


def row(rank=1, before=1, text="words", **more):
    return Row(rank, before, 0.5, text, **more)


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(show.order(answer(row(text=NASTY)), EN), id="a document"),
        pytest.param(show.order(answer(row(error=NASTY)), EN), id="an engine's error"),
        pytest.param(show.order(answer(warnings=(NASTY,)), EN), id="a warning"),
        pytest.param(show.order(answer(row()), EN, NASTY), id="an instruction"),
        pytest.param(show.order(answer(row(text=f"a{NASTY}b", span=(1, 20))), EN), id="a window"),
        pytest.param(show.order(Answer((), NASTY, 0, Timing(1)), EN), id="a model's name"),
        pytest.param(show.trouble(NASTY), id="a sentence"),
        pytest.param(show.hint(NASTY), id="a hint"),
        pytest.param(show.head(EN, NASTY, NASTY), id="an engine's notice"),
    ],
)
def test_what_comes_from_outside_is_shown_as_it_is_and_runs_nowhere(page):
    seen = Seen(page)

    assert not seen.tags & {"script", "img", "strong"}
    assert "${" not in page
    assert "{{" not in page
    assert "<script>alert(1)</script>" in seen.text


@pytest.mark.parametrize(
    ("rank", "before", "wanted"),
    [
        pytest.param(1, 4, "▲3 was 4", id="up"),
        pytest.param(3, 1, "▼2 was 1", id="down"),
        pytest.param(2, 2, "same place", id="not at all"),
    ],
)
def test_each_row_says_where_it_was(rank, before, wanted):
    assert wanted in Seen(show.order(answer(row(rank, before)), EN)).text


@pytest.mark.parametrize(
    ("timing", "wanted"),
    [
        pytest.param(
            Timing(1234.0, 1.25, 100.0, 2),
            "tokens 1,234waited 1.2 msscored 100 msin all 1,234 msreplicas 2",
            id="all",
        ),
        pytest.param(Timing(3.0, 0.0, 0.0, 0), "in all 3.0 msfrom the cache", id="cached"),
        pytest.param(Timing(3.0), "tokens 1,234in all 3.0 ms", id="what is not known is left out"),
    ],
)
def test_it_says_where_the_time_went(timing, wanted):
    assert wanted in Seen(show.order(answer(timing=timing), EN)).text


def test_a_cut_document_is_marked():
    assert "cut to fit" in Seen(show.order(answer(row(truncated=True)), EN)).text
    assert "已截断" in Seen(show.order(answer(row(truncated=True)), ZH)).text


def test_a_document_without_a_score_says_why_and_has_no_number():
    text = Seen(show.order(answer(row(error="not a number")), EN)).text

    assert "not a number" in text
    assert "0.5000" not in text


@pytest.mark.parametrize(
    ("score", "width"), [(0.123, "12.3%"), (-3.0, "0.0%"), (7.5, "100.0%"), (1.0, "100.0%")]
)
def test_a_bar_is_as_long_as_the_score_and_never_longer(score, width):
    assert f"width:{width}" in show.order(answer(Row(1, 1, score, "x")), EN)


def test_of_a_long_document_the_best_window_is_shown():
    text = "a" * 5000 + "needle" + "b" * 5000

    page = show.order(answer(row(text=text, span=(5000, 5006))), EN)

    assert "<mark>needle</mark>" in page
    assert len(page) < 3000


def test_a_long_document_is_cut_and_a_long_list_says_how_many_are_left():
    rows = [row(rank, rank, "x" * 5000) for rank in range(1, show.MOST_ROWS + 3)]

    text = Seen(show.order(answer(*rows), EN)).text

    assert "x" * show.LONGEST_TEXT + "…" in text
    assert "x" * (show.LONGEST_TEXT + 1) not in text
    assert "2 more" in text
