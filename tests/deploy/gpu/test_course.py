"""Parts run one after the other, and the file is there whatever happens."""

from __future__ import annotations

import json

import pytest

from deploy.gpu import course
from deploy.gpu.course import Step
from deploy.gpu.part import Book, Failed, Part, Skip, State

WELL = Part("well", State.PASSED, numbers={"a_s": 1.5})


def raises(error):
    def run():
        raise error

    return run


def go(tmp_path, *runs):
    book = Book(tmp_path / "build" / "run.json", {"command": "x"})
    steps = [Step(f"part{at}", "does something", run) for at, run in enumerate(runs)]
    well = course.go(steps, book, lambda text: None)
    return well, json.loads((tmp_path / "build" / "run.json").read_text())


@pytest.mark.parametrize(
    ("run", "state", "why"),
    [
        pytest.param(raises(Skip("no card")), "skipped", "no card", id="skipped"),
        pytest.param(raises(Failed("differs", {"n": 1})), "failed", "differs", id="failed"),
        pytest.param(raises(ValueError("x")), "failed", "ValueError: x", id="our own fault"),
    ],
)
def test_a_part_that_does_not_pass_stops_no_other(tmp_path, capsys, run, state, why):
    well, body = go(tmp_path, run, lambda: Part("part1", State.PASSED, numbers={"a_s": 1.5}))

    assert well is (state == "skipped")
    assert (body["parts"]["part0"]["state"], body["parts"]["part0"]["why"]) == (state, why)
    assert body["parts"]["part1"]["numbers"] == {"a_s": 1.5}
    assert (body["partial"], body["ok"]) == (False, well)


def test_what_was_measured_before_a_failure_is_kept(tmp_path):
    _, body = go(tmp_path, raises(Failed("differs", {"n": 1}, {"rows": [{"b": 2}]})))

    assert body["parts"]["part0"]["numbers"] == {"n": 1}
    assert body["parts"]["part0"]["rows"] == {"rows": [{"b": 2}]}


def test_an_interrupted_run_leaves_what_it_has_and_says_so(tmp_path):
    ran = []
    well, body = go(
        tmp_path,
        lambda: Part("part0", State.PASSED),
        raises(KeyboardInterrupt()),
        lambda: ran.append(1),
    )

    assert (well, ran) == (False, [])
    assert body["partial"] is True
    assert [part["state"] for part in body["parts"].values()] == ["passed", "interrupted"]


def test_a_dry_run_says_what_each_part_would_do():
    said = []

    course.describe([Step("a", "takes memory", raises(AssertionError()))], said.append)

    assert said == ["a: takes memory"]


def book(path, cards=("H100",)):
    return Book(path, {"device": {"names": list(cards)}})


def test_a_run_in_several_commands_goes_on_in_the_same_file(tmp_path):
    path = tmp_path / "run.json"
    first = book(path)
    first.add(Part("speed", State.PASSED, numbers={"a": 1}))
    first.add(Part("hang", State.FAILED))
    second = book(path)

    second.go_on()
    second.add(Part("hang", State.PASSED))

    body = json.loads(path.read_text())
    assert {name: part["state"] for name, part in body["parts"].items()} == {
        "speed": "passed",
        "hang": "passed",
    }
    assert body["ok"] is True


def test_a_failure_of_an_earlier_command_is_not_forgotten(tmp_path):
    path = tmp_path / "run.json"
    book(path).add(Part("speed", State.FAILED))
    second = book(path)

    second.go_on()
    second.add(Part("hang", State.PASSED))

    assert second.ok is False


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param('{"run": {"device": {"names": ["A10"]}}, "parts": {}}', "other", id="cards"),
        pytest.param("[]", "no earlier run", id="another file"),
        pytest.param("{", "no earlier run", id="half a file"),
    ],
)
def test_a_file_that_cannot_be_gone_on_with_is_refused(tmp_path, text, words):
    path = tmp_path / "run.json"
    path.write_text(text)

    with pytest.raises(Skip, match=words):
        book(path).go_on()


def test_there_is_nothing_to_go_on_with_at_first(tmp_path):
    first = book(tmp_path / "run.json")

    first.go_on()

    assert first.earlier == {}
