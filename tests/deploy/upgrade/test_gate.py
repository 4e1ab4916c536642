"""The trial on real workers: what the shadow and a running replica are asked, and what is seen."""

from __future__ import annotations

import contextlib
import json
import os

import pytest

from deploy.evaluate import beir
from deploy.evaluate.dataset import Dataset, Text
from deploy.upgrade.asking import AskError, Worker
from deploy.upgrade.gate import RECORDED, GateError, Trial, try_out
from deploy.upgrade.parity import Question
from deploy.upgrade.shadow import Shadow
from deploy.upgrade.verdict import GateLimits, Reason, judge
from deploy.upgrade.watched import passed_on

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]
LIMIT_S = 120.0
QUESTIONS = [Question("q", f"a b c {n}", (f"a b c {n}", "a b", "z"), best=0) for n in range(3)]


@contextlib.contextmanager
def version(folder, **settings):
    """A worker process of the scripted engine in a state directory of its own."""
    folder.mkdir()
    file = folder / "rankguard.toml"
    lines = [f"{name} = {json.dumps(value)}" for name, value in settings.items()]
    file.write_text("\n".join(['[engine]\nkind = "scripted"\n[engine.scripted]', *lines]))
    with Shadow(folder, file, passed_on(os.environ), None) as shadow:
        yield shadow


@pytest.fixture(scope="module")
def old(tmp_path_factory):
    with version(tmp_path_factory.mktemp("old") / "v1") as running:
        yield running.wait_ready(LIMIT_S, print)


def trial(**fields):
    # the scripted engine knows words and no languages: its canary is held to values only
    return Trial(QUESTIONS, "baseline", 30.0, LIMIT_S, **fields)


def tried(tmp_path, old, settings, **fields):
    with version(tmp_path / "new", **settings) as shadow:
        return try_out(shadow, old, trial(**fields), tmp_path, print)


def reason(evidence):
    return judge(evidence, GateLimits(slower=50.0)).reason


def test_a_good_version_passes_and_what_the_old_one_said_is_recorded(tmp_path, old):
    data = tmp_path / "set"
    documents = {name: Text(name, text) for name, text in (("d1", "a b c"), ("d2", "x y z"))}
    queries = {"q1": Text("q1", "a b c"), "q2": Text("q2", "x y z")}
    beir.write(Dataset("set", queries, documents, {"q1": {"d1": 1}, "q2": {"d2": 1}}), data)

    evidence = tried(tmp_path, old, {"version": "2"}, quality=str(data))

    assert reason(evidence) is Reason.ALL_PASSED
    assert (evidence.old.fingerprint, evidence.new.fingerprint) == ("scripted-1", "scripted-2")
    assert (evidence.parity.agreement, evidence.parity.new_right) == (1.0, 3)
    assert (evidence.quality.new, evidence.quality.old, evidence.quality.queries) == (1.0, 1.0, 2)
    lines = (tmp_path / RECORDED).read_text().splitlines()
    assert [len(json.loads(line)["logits"]) for line in lines] == [3, 3, 3]


def test_a_version_that_does_not_start_says_why(tmp_path, old):
    evidence = tried(tmp_path, old, {"start_error": "the weights are gone"})

    assert evidence.start_error == "the weights are gone"
    assert reason(evidence) is Reason.START_FAILED


def test_a_configuration_that_no_worker_takes_is_told_with_its_last_line(tmp_path, old):
    evidence = tried(tmp_path, old, {"documents_s": 1})

    assert "documents_s" in evidence.start_error


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("nan", Reason.CANARY),
        ("wrong", Reason.DISAGREES),
    ],
)
def test_a_version_that_scores_badly_is_seen(tmp_path, old, fault, expected):
    script = tmp_path / "script.json"
    script.write_text(json.dumps({"fault": fault}))

    assert reason(tried(tmp_path, old, {"script": str(script)})) is expected


def test_a_version_that_fails_on_a_question_is_to_blame_and_not_the_trial(tmp_path, old):
    script = tmp_path / "script.json"
    script.write_text(json.dumps({"poison": "a b c 2"}))

    evidence = tried(tmp_path, old, {"version": "2", "script": str(script)})

    assert "the new version" in evidence.broken
    assert reason(evidence) is Reason.BROKEN


def test_with_nothing_to_compare_there_is_no_parity(tmp_path):
    evidence = tried(tmp_path, None, {})

    assert evidence.parity is None
    assert reason(evidence) is Reason.NOTHING_TO_COMPARE


def test_a_running_replica_that_goes_away_ends_the_trial_and_blames_nobody(tmp_path, old):
    gone = old.__class__(**{**_fields(old), "url": "http://127.0.0.1:9"})

    with pytest.raises(GateError, match="shadow"):
        tried(tmp_path, gone, {"version": "2"})


def _fields(one):
    return {name: getattr(one, name) for name in one.__dataclass_fields__}


def test_a_data_set_that_is_not_there_ends_the_trial(tmp_path, old):
    with pytest.raises(GateError, match="quality"):
        tried(tmp_path, old, {"version": "2"}, quality=str(tmp_path / "none"))


def test_a_worker_that_is_not_there_cannot_be_asked():
    with pytest.raises(AskError, match="w: ConnectionError"):
        Worker("w", "http://127.0.0.1:9").ask("q", ["d"])
