"""Both layouts of the hub, in folders; and the hub itself when it cannot be reached."""

from __future__ import annotations

import gzip
import json

import pytest

from deploy.evaluate.builders import source
from deploy.evaluate.dataset import DataError, pairs_of


def table(path, rows):
    pyarrow = pytest.importorskip("pyarrow", reason="comes with extra search")
    from pyarrow import parquet

    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(pyarrow.Table.from_pylist(rows), path)


@pytest.fixture
def tables(tmp_path):
    """Two languages that number their texts alike, in the layout of now."""
    folder = tmp_path / "WikipediaRerankingMultilingual"
    for lang, word in (("de", "Haus"), ("en", "house")):
        table(
            folder / f"{lang}-queries" / "test-00000-of-00001.parquet", [{"_id": "1", "text": word}]
        )
        table(
            folder / f"{lang}-corpus" / "test-00000-of-00001.parquet",
            [{"_id": str(n), "title": f"T{n}", "text": f"{word} {n}"} for n in range(3)],
        )
        table(
            folder / f"{lang}-qrels" / "test-00000-of-00001.parquet",
            [{"query-id": "1", "corpus-id": "2", "score": 2}],
        )
        table(
            folder / f"{lang}-top_ranked" / "test-00000-of-00001.parquet",
            [{"query-id": "1", "corpus-ids": ["2", "0"]}],
        )
    return folder


@pytest.fixture
def texts(tmp_path):
    """The layout of before: texts in the rows, in compressed lines, in two splits."""
    folder = tmp_path / "AskUbuntuDupQuestions"
    folder.mkdir()
    rows = [
        {"query": "how to x", "positive": ["do x"], "negative": ["do y", "do z"]},
        {"query": "how to y", "positive": ["do y"], "negative": ["do x", "do x"]},
    ]
    for split, kept in (("test", rows), ("validation", rows[:1])):
        with gzip.open(folder / f"{split}.jsonl.gz", "wt") as file:
            file.writelines(json.dumps(row) + "\n" for row in kept)
    return folder


def test_tables_of_several_languages_are_language_pairs_with_their_own_candidates(tables):
    found = source.load(f"mteb:{tables}")

    assert [(pair.query_lang, pair.doc_lang) for pair in pairs_of(found)] == [
        ("de", "de"),
        ("en", "en"),
    ]
    assert found.documents["de/2"].text == "T2 Haus 2"
    assert found.judgements["de/1"] == {"de/2": 2}
    assert found.candidates["en/1"] == ["en/2", "en/0"]


def test_rows_with_texts_share_documents_and_keep_each_querys_candidates(texts):
    found = source.load(f"mteb:{texts}")

    assert {text.text for text in found.documents.values()} == {"do x", "do y", "do z"}
    by_text = {text.text: key for key, text in found.documents.items()}
    assert found.judgements["q1"] == {by_text["do y"]: 1, by_text["do x"]: 0}
    assert found.candidates["q0"] == [by_text["do x"], by_text["do y"], by_text["do z"]]


def test_another_split_is_taken_when_it_is_asked_for(texts):
    assert len(source.load(f"mteb:{texts}", split="validation").queries) == 1
    with pytest.raises(DataError, match="test, validation: say which with --split"):
        source.load(f"mteb:{texts}", split="train")


def test_a_folder_with_neither_layout_is_refused(tmp_path):
    (tmp_path / "test.jsonl").write_text('{"sentence": "x"}\n')

    with pytest.raises(DataError, match="no column query, but sentence"):
        source.load(f"mteb:{tmp_path}")


def test_without_the_hub_it_says_what_to_do(monkeypatch, tmp_path):
    constants = pytest.importorskip("huggingface_hub.constants", reason="comes with extra ui")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))

    with pytest.raises(DataError, match=r"mteb/NoSuchTask cannot be had from the hub.*mteb:FOLDER"):
        source.load("mteb:NoSuchTask")
