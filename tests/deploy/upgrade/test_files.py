"""The files of an upgrade: engine.toml, the version's folder, its record, the questions."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from deploy.cli import app
from deploy.config import ConfigError, load, revised, show
from deploy.upgrade import candidate, overlay, record
from deploy.upgrade.plan import Plan, from_json, to_json
from deploy.upgrade.questions import QuestionsError
from deploy.upgrade.questions import load as load_questions
from deploy.upgrade.verdict import GateLimits
from deploy.upgrade.watched import passed_on
from service.settings import EngineSettings

NOW = 1_795_000_000.0


@pytest.fixture
def site(tmp_path):
    """A configuration, and a version of it that is in force."""
    file = tmp_path / "rankguard.toml"
    state = tmp_path / "state"
    state.mkdir()
    file.write_text(
        f'[service]\nstate_dir = "{state}"\n[engine]\nkind = "vllm"\nmodel = "old"\n'
        '[engine.vllm]\ndtype = "half"\n'
        '[[alerts.receivers]]\nname = "a"\ntype = "webhook"\nurl = "https://example.org"\n'
    )

    def put_in_force(**changes):
        now = load(file, {})
        base = load(file, {}, upgraded=False)
        wanted = revised(now, {f"engine.{key}": value for key, value in changes.items()})
        name = record.new_name(NOW + len(list(tmp_path.rglob("upgrade/*"))))
        folder = candidate.write(state, name, wanted.engine, base.engine, NOW)
        (folder / overlay.FILE).replace(state / overlay.FILE)
        return wanted

    return file, state, put_in_force


def test_an_upgrade_takes_the_place_of_the_engine_section_and_of_nothing_else(site):
    file, _, put_in_force = site
    before = load(file, {})

    put_in_force(model="new", **{"vllm.max_num_seqs": "8"})
    after = load(file, {})

    assert after.engine.model == "new"
    assert after.engine.vllm == {"dtype": "half", "max_num_seqs": 8}
    assert after.model_copy(update={"engine": before.engine}) == before
    assert load(file, {}, upgraded=False) == before


def test_config_show_says_whether_an_upgrade_counts(site):
    file, _, put_in_force = site
    shown = ["config", "show", "--config", str(file)]
    assert "upgrade" not in CliRunner().invoke(app, shown).output.splitlines()[0]

    put_in_force(model="new")
    assert "# [engine] is that of upgrade" in CliRunner().invoke(app, shown).output

    file.write_text(file.read_text().replace('"old"', '"newest"'))
    assert "is not in force" in CliRunner().invoke(app, shown).output


def test_who_edits_the_configuration_afterwards_is_obeyed(site):
    file, _, put_in_force = site
    put_in_force(model="new")

    file.write_text(file.read_text().replace('"old"', '"newest"'))

    assert load(file, {}).engine.model == "newest"


def test_what_a_variable_says_afterwards_is_obeyed_too(site):
    file, _, put_in_force = site
    put_in_force(model="new")

    assert load(file, {"RANKGUARD_ENGINE__MODEL": "newest"}).engine.model == "newest"


def test_an_edit_of_another_section_leaves_the_upgrade_in_force(site):
    file, _, put_in_force = site
    put_in_force(model="new")

    file.write_text(file.read_text() + "\n[monitor]\nreplicas = 3\n")

    assert load(file, {}).engine.model == "new"


def test_an_upgrade_of_an_upgraded_engine_keeps_what_it_does_not_name(site):
    file, _, put_in_force = site
    put_in_force(model="new")
    put_in_force(served_name="ours")

    engine = load(file, {}).engine
    assert (engine.model, engine.served_name) == ("new", "ours")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[engine", "not TOML"),
        ('[engine]\nkind = "vllm"\n', "no [upgrade]"),
        ('[upgrade]\nid = "a"\nreplaces = "b"\n[engine]\nkind = "vlm"\n', "kind"),
        ('[upgrade]\nid = "a"\nreplaces = "b"\n[engine]\nweights = "x"\n', "weights"),
    ],
    ids=["not TOML", "nothing about its making", "a wrong value", "an unknown key"],
)
def test_a_file_that_cannot_be_used_is_an_error_and_not_the_old_model(site, text, words):
    file, state, _ = site
    (state / overlay.FILE).write_text(text)

    with pytest.raises(ConfigError, match=r"engine\.toml") as caught:
        load(file, {})
    assert words in str(caught.value)


def test_a_file_that_says_that_nothing_is_in_force_changes_nothing(site):
    file, state, _ = site
    before = load(file, {})
    (state / overlay.FILE).write_text("# no upgrade is in force\n")

    assert load(file, {}) == before


def test_the_digest_does_not_change_when_a_default_is_written_out():
    assert overlay.digest(EngineSettings()) == overlay.digest(EngineSettings(kind="auto"))
    assert overlay.digest(EngineSettings()) != overlay.digest(EngineSettings(kind="vllm"))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"engine.mode": "x"}, "did you mean model?"),
        ({"engine.kind": "vlm"}, "kind"),
        ({"engine.max_model_len": "many"}, "max_model_len"),
    ],
)
def test_a_change_that_is_no_configuration_is_refused(site, changes, words):
    file, _, _ = site

    with pytest.raises(ConfigError, match="--set") as caught:
        revised(load(file, {}), changes)
    assert words in str(caught.value)


def test_what_is_in_force_can_be_printed_and_read_again(site, tmp_path):
    file, _, put_in_force = site
    put_in_force(model="new")
    again = tmp_path / "again.toml"
    again.write_text(show(load(file, {})))

    assert load(again, {}).engine.model == "new"


def test_a_record_is_read_as_it_was_written(tmp_path):
    one = record.new_record("20261122-1", NOW, old={"model": "old"}, limit_s=5.0)
    record.save(tmp_path, one)

    assert record.latest(tmp_path) == one
    assert one.is_attended


def test_an_upgrade_whose_command_is_dead_is_not_attended(tmp_path):
    ended = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True
    )
    one = record.new_record("20261122-1", NOW)
    dead = record.Record(**{**_fields(one), "pid": int(ended.stdout)})
    earlier_boot = record.Record(**{**_fields(one), "boot_id": "another"})

    assert not dead.is_attended
    assert not earlier_boot.is_attended


def _fields(one):
    return {name: getattr(one, name) for name in one.__dataclass_fields__}


def test_the_newest_record_counts_and_old_folders_are_removed(tmp_path):
    for number in range(record.KEPT + 3):
        record.save(tmp_path, record.new_record(f"20261122-{number:03}", NOW))
    (tmp_path / "upgrade" / "99999999" / "x").mkdir(parents=True)
    record.forget_old(tmp_path)

    names = sorted(path.name for path in (tmp_path / "upgrade").iterdir())
    assert len(names) == record.KEPT + 1
    assert record.latest(tmp_path).id == f"20261122-{record.KEPT + 2:03}"


def test_the_upgrade_that_is_in_force_is_kept_however_many_were_refused_since(site):
    file, state, put_in_force = site
    put_in_force(model="new")
    in_force = overlay.read(state).upgrade
    record.save(state, record.new_record(in_force, NOW))
    for number in range(record.KEPT + 3):
        record.save(state, record.new_record(f"99991122-{number:03}", NOW + 1 + number))

    record.forget_old(state)

    assert record.named(state, in_force) is not None
    assert record.latest(state).id == f"99991122-{record.KEPT + 2:03}"
    assert load(file, {}).engine.model == "new"


def test_the_newest_is_that_which_began_last_though_the_hour_was_set_back(tmp_path):
    record.save(tmp_path, record.new_record("20261025-025900-000", NOW))
    record.save(tmp_path, record.new_record("20261025-020100-000", NOW + 120))

    assert record.latest(tmp_path).id == "20261025-020100-000"


def test_what_a_trial_was_asked_for_outlives_the_command(tmp_path):
    limits = GateLimits(min_ndcg=0.6, slower=8.0)
    asked = Plan({"engine.model": "new"}, limits, parity=tmp_path / "q", quality="set", take="r-1")
    record.save(tmp_path, record.new_record("20261122-1", NOW, asked=to_json(asked)))

    assert from_json(record.latest(tmp_path).asked) == asked


@pytest.mark.parametrize("text", ["", "{", "[]", '{"phase": "eaten"}'])
def test_a_record_that_cannot_be_read_is_none(tmp_path, text):
    folder = record.folder_of(tmp_path, "a")
    folder.mkdir(parents=True)
    (folder / record.FILE).write_text(text)

    assert record.latest(tmp_path) is None


def test_a_version_is_never_written_twice(tmp_path):
    engine = EngineSettings()
    candidate.write(tmp_path, "a", engine, engine, NOW)

    with pytest.raises(FileExistsError):
        candidate.write(tmp_path, "a", engine, engine, NOW)


def test_the_shipped_questions_are_of_many_languages_and_each_has_its_answer():
    questions = load_questions(None)

    assert len({one.name for one in questions}) > 40
    assert all(0 <= one.best < len(one.documents) for one in questions)
    assert all(len(set(one.documents)) == len(one.documents) > 1 for one in questions)
    assert len({one.best for one in questions}) > 1


def test_questions_of_a_file(tmp_path):
    file = tmp_path / "q.jsonl"
    lines = [
        {"query": "q", "documents": ["a", {"text": "b"}], "best": 1},
        {"query": "r", "documents": ["a", "b"], "logits": [1, 2]},
    ]
    file.write_text("\n".join(json.dumps(line) for line in lines) + "\n\n")

    first, second = load_questions(file)
    assert (first.documents, first.best) == (("a", "b"), 1)
    assert second.best is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "holds no question"),
        ("{", "q.jsonl:1"),
        ('{"query": "a"}', "q.jsonl:1"),
        ('{"query": 1, "documents": ["a", "b"]}', "must be text"),
        ('{"query": "a", "documents": ["a"]}', "fewer than two"),
        ('{"query": "a", "documents": ["a", "b"], "best": 2}', "best"),
        ('{"query": "a", "documents": ["a", "b"]}\n[]', "q.jsonl:2"),
    ],
)
def test_a_wrong_line_is_named(tmp_path, text, words):
    file = tmp_path / "q.jsonl"
    file.write_text(text)

    with pytest.raises(QuestionsError, match=words):
        load_questions(file)


def test_the_shadow_does_not_pass_for_one_of_the_watchdogs_own():
    found = passed_on({"RANKGUARD_REPLICA": "x", "NOTIFY_SOCKET": "y", "PATH": "z"})

    assert found == {"PATH": "z"}


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--status", "--resume"],
        ["--model", "x", "--rollback"],
        ["--resume", "--min-ndcg", "0.5"],
        ["--set", "model=x"],
        ["--set", "engine.model"],
        ["--model", "/no/such/folder"],
        ["--model", "./no/such/folder"],
        ["--model", "x", "--json"],
    ],
)
def test_wrong_usage_is_exit_code_2_and_one_sentence(arguments):
    ended = CliRunner().invoke(app, ["upgrade", *arguments])

    assert ended.exit_code == 2
    assert len(ended.output.strip().splitlines()) == 1
