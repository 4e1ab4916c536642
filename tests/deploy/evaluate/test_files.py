import json

import pytest

from deploy.evaluate import beir
from deploy.evaluate.dataset import DataError, Text
from deploy.evaluate.folder import Answer, RunFolder
from deploy.evaluate.shipped import load
from deploy.evaluate.trec import read_run, run_lines

ANSWER = Answer("ours", "q>en", ("b", "a"), (0.9, 0.1), 0.25, tokens=12, truncated=1)


def beir_folder(tmp_path, corpus='{"_id": "d", "title": "T", "text": "x"}\n'):
    (tmp_path / "qrels").mkdir()
    (tmp_path / "corpus.jsonl").write_text(corpus)
    (tmp_path / "queries.jsonl").write_text(
        '{"_id": "q", "text": "y", "metadata": {"lang": "de"}}\n'
    )
    (tmp_path / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq\td\t2\n")
    return tmp_path


def test_a_beir_folder_as_it_is_published_is_read(tmp_path):
    dataset = beir.read(beir_folder(tmp_path))
    assert dataset.documents["d"] == Text("d", "T x", "any")
    assert dataset.queries["q"].lang == "de"
    assert dataset.judgements == {"q": {"d": 2}}
    assert dataset.name == tmp_path.name


def test_what_is_written_is_read_back_the_same(tmp_path):
    dataset = load()
    beir.write(dataset, tmp_path)
    back = beir.read(tmp_path)
    assert back == dataset
    assert back.digest() == dataset.digest()


@pytest.mark.parametrize(
    ("corpus", "words"),
    [
        pytest.param("{", "corpus.jsonl:1", id="not JSON"),
        pytest.param('{"_id": "d"}', "corpus.jsonl:1", id="no text"),
        pytest.param('{"_id":"d","text":"x"}\n{"_id":"d","text":"x"}', "twice", id="an id twice"),
    ],
)
def test_a_wrong_line_is_named(tmp_path, corpus, words):
    with pytest.raises(DataError, match=words):
        beir.read(beir_folder(tmp_path, corpus))


def test_several_splits_without_a_test_split_need_a_choice(tmp_path):
    folder = beir_folder(tmp_path)
    (folder / "qrels" / "test.tsv").rename(folder / "qrels" / "dev.tsv")
    (folder / "qrels" / "train.tsv").write_text("q\td\t1\n")
    with pytest.raises(DataError, match="--split"):
        beir.read(folder)
    assert beir.read(folder, split="dev").judgements == {"q": {"d": 2}}


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("q\td\t1\n", id="BEIR without header"),
        pytest.param("query-id\tcorpus-id\tscore\nq\td\t1\n", id="BEIR with header"),
        pytest.param("q 0 d 1\n", id="TREC"),
    ],
)
def test_judgements_are_read_in_both_forms(tmp_path, text):
    (tmp_path / "x").write_text(text)
    assert beir.read_qrels(tmp_path / "x") == {"q": {"d": 1}}


def test_a_judgement_that_is_no_number_is_named(tmp_path):
    (tmp_path / "x").write_text("q d 1\nq d good\n")
    with pytest.raises(DataError, match="x:2"):
        beir.read_qrels(tmp_path / "x")


def test_a_run_is_ordered_by_score_with_ties_in_the_files_order(tmp_path):
    (tmp_path / "run").write_text("q Q0 a 1 0.1 t\nq Q0 b 2 0.9 t\nq Q0 c 3 0.9 t\n")
    assert read_run(tmp_path / "run") == {"q": ["b", "c", "a"]}


def test_a_run_that_was_written_is_read_back(tmp_path):
    (tmp_path / "run").write_text("\n".join(run_lines([ANSWER])))
    assert read_run(tmp_path / "run") == {"q>en": ["b", "a"]}


@pytest.mark.parametrize("text", ["", "q Q0 a 1\n", "q Q0 a 1 high t\n"])
def test_what_is_no_run_is_refused(tmp_path, text):
    (tmp_path / "run").write_text(text)
    with pytest.raises(DataError):
        read_run(tmp_path / "run")


def test_a_run_folder_gives_back_what_was_added(tmp_path):
    RunFolder(tmp_path, {"seed": 1}).add(ANSWER)
    assert RunFolder(tmp_path, {"seed": 1}).read() == [ANSWER]


def test_a_run_folder_of_another_run_is_refused(tmp_path):
    RunFolder(tmp_path, {"seed": 1})
    with pytest.raises(DataError, match="another run"):
        RunFolder(tmp_path, {"seed": 2})


def test_a_line_that_a_kill_cut_short_costs_that_answer_only(tmp_path):
    folder = RunFolder(tmp_path, {})
    folder.add(ANSWER)
    with (tmp_path / "answers.jsonl").open("a") as file:
        file.write(json.dumps(ANSWER.to_json())[:30])
    again = RunFolder(tmp_path, {})
    again.add(ANSWER)
    assert again.read() == [ANSWER, ANSWER]
