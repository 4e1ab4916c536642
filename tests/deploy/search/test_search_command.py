"""`rankguard search` as a command, against a gateway that is nothing but its contract."""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from deploy.cli import app
from service.embedding import pack
from service.worker.engines.scripted import word_score, word_vector
from tests.json_server import Asked, JsonServer, Said


class Gateway(JsonServer):
    """Embeds by words, scores by shared words, answers searches with what it is told."""

    def __init__(self) -> None:
        self.searches: list[dict] = []
        self.keys: list[str | None] = []
        self.found: dict | None = None
        self.fingerprint = "words-1"
        super().__init__()

    def answer(self, asked: Asked) -> Said:
        self.keys.append(asked.headers.get("Authorization"))
        body = asked.body
        if asked.path == "/v1/embeddings":
            packed = [base64.b64encode(pack(word_vector(text))).decode() for text in body["input"]]
            data = [{"embedding": each} for each in packed]
            return Said(200, {"data": data, "model": "words", "fingerprint": self.fingerprint})
        if asked.path == "/v1/rerank":
            scores = [word_score(body["query"], text) for text in body["documents"]]
            order = sorted(range(len(scores)), key=lambda place: -scores[place])
            results = [{"index": place, "relevance_score": scores[place]} for place in order]
            return Said(200, {"results": results, "model": "judge"})
        self.searches.append(body)
        if self.found is None:
            return Said(404, {"error": {"message": "nothing is indexed here", "code": "not_found"}})
        return Said(200, self.found)


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    with Gateway() as one:
        yield one


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "drain.md").write_text("# Drain a replica\n\nTake the replica out of traffic.")
    (folder / "alerts.md").write_text("# Alerts\n\nSend messages to a webhook.")
    (folder / "broken.md").write_bytes(b"\xff\xfe")
    return folder


@pytest.fixture
def run(gateway, tmp_path, monkeypatch):
    """Runs a command with its own state directory; extra lines go into `[service.search]`."""
    monkeypatch.setenv("COLUMNS", "120")

    def command(*arguments: str, search: str = "", key: str = ""):
        config = tmp_path / "rankguard.toml"
        config.write_text(
            f'[service]\nstate_dir = "{tmp_path}/state"\n[service.search]\n{search}\n'
        )
        return CliRunner().invoke(
            app,
            ["search", *arguments, "--config", str(config), "--url", gateway.url],
            env={"RANKGUARD_API_KEY": key},
        )

    return command


def test_a_folder_is_indexed_and_the_page_is_found(run, docs):
    indexed = run("index", str(docs))
    asked = run("query", "how to drain a replica", "--json")

    assert indexed.exit_code == 0, indexed.output
    assert "2 texts; 2 new or changed, 0 unchanged, 0 gone" in indexed.stdout
    assert "2 passages embedded by words" in indexed.stdout
    assert "skipped broken.md: not UTF-8 text" in indexed.stderr
    answer = json.loads(asked.stdout)
    assert answer["results"][0]["source"] == "drain.md"
    assert answer["meta"]["recall"] == "dense"


def test_the_second_run_embeds_nothing(run, docs):
    run("index", str(docs))
    done = json.loads(run("index", str(docs), "--json").stdout)
    assert (done["texts"], done["unchanged"], done["passages"]) == (2, 2, 0)
    assert done["skipped_files"] == [{"name": "broken.md", "why": "not UTF-8 text"}]


def test_the_table_shows_stages_times_and_movement(run, docs):
    run("index", str(docs))
    shown = run("query", "drain a replica", "--recall-by", "fusion", "--rerank").stdout
    assert "drain.md" in shown
    assert "Drain a replica" in shown
    assert "recall" in shown
    assert "(fusion, 2 found)" in shown
    assert "(judge)" in shown
    assert "reranking:" in shown
    assert "one model embeds and ranks here" in shown


def test_words_then_the_model_are_two_stages(run, docs):
    run("index", str(docs))
    answer = json.loads(run("query", "webhook", "--recall-by", "lexical", "--json").stdout)
    assert (answer["meta"]["rerank"], answer["meta"]["rerank_model"]) == (True, "judge")
    assert [one["source"] for one in answer["results"]] == ["alerts.md"]


def test_reranking_can_be_left_out(run, docs):
    run("index", str(docs))
    asked = ("query", "webhook", "--recall-by", "lexical", "--no-rerank", "--json")
    answer = json.loads(run(*asked).stdout)
    assert (answer["meta"]["rerank"], answer["results"][0]["relevance_score"]) == (False, None)


def test_the_api_key_is_sent(run, docs, gateway):
    run("index", str(docs), key="secret")
    assert set(gateway.keys) == {"Bearer secret"}


def test_where_the_gateway_searches_it_is_asked(run, gateway):
    gateway.found = {
        "results": [],
        "meta": {
            "recall": "dense",
            "rerank": False,
            "why": "as it is",
            "candidates": 0,
            "recall_model": "m",
            "rerank_model": "",
            "times_ms": {"embed": 1.0, "open": 0.0, "recall": 2.0, "rerank": None, "total": 3.0},
            "movement": None,
        },
    }
    shown = run("query", "x", "--top", "3", "--recall", "7", "--no-rerank", search="enabled = true")
    assert shown.exit_code == 0, shown.output
    assert "nothing found" in shown.stdout
    assert gateway.searches == [
        {"query": "x", "top": 3, "per_source": 1, "candidates": 7, "rerank": "never"}
    ]


@pytest.mark.parametrize(
    ("arguments", "search", "code", "words"),
    [
        pytest.param(("query", "x"), "", 1, "rankguard search index FOLDER", id="no index"),
        pytest.param(("query", "x"), "enabled = true", 1, "nothing is indexed here", id="none"),
        pytest.param(("index", "/nowhere/at/all"), "", 2, "is not a folder", id="no folder"),
        pytest.param(("query", " \n"), "", 2, "the query is empty", id="empty"),
        pytest.param(("query", " "), "enabled = true", 2, "the query is empty", id="empty, asked"),
        pytest.param(("query", "x", "--recall-by", "y"), "", 2, "has to be dense", id="no stage"),
        pytest.param(("query", "x"), 'store = "elasticsearch"', 1, "uri has to be", id="no url"),
    ],
)
def test_what_goes_wrong_is_a_sentence(run, arguments, search, code, words):
    ran = run(*arguments, search=search)
    assert ran.exit_code == code
    assert words in ran.stderr
    assert "Traceback" not in ran.output


def test_the_name_of_a_skipped_file_does_not_move_the_cursor(run, docs):
    (docs / "a\x1b[2J\nb.md").write_text("text")
    ran = run("index", str(docs))
    assert "skipped a\ufffd[2J\ufffdb.md: its name is no plain text" in ran.stderr
    assert "\x1b[2J" not in ran.stderr


def test_a_missing_package_is_a_sentence_that_names_the_extra(run, docs, monkeypatch):
    monkeypatch.setitem(sys.modules, "semantic_text_splitter", None)
    ran = run("index", str(docs))
    assert ran.exit_code == 2
    assert "pip install 'rankguard[search]'" in ran.stderr


def test_another_model_has_an_index_of_its_own(run, docs, gateway):
    run("index", str(docs))
    gateway.fingerprint = "words-2"
    ran = run("query", "drain")
    assert ran.exit_code == 1
    assert "nothing is indexed for this model yet" in ran.stderr


def test_the_stages_are_compared_on_judged_data(run, tmp_path):
    data = tmp_path / "beir"
    (data / "qrels").mkdir(parents=True)
    pages = {f"p{n}": f"page {n} about word{n} and others" for n in range(12)}
    lines = [json.dumps({"_id": key, "text": text}) for key, text in pages.items()]
    (data / "corpus.jsonl").write_text("\n".join(lines))
    asked = [json.dumps({"_id": f"q{n}", "text": f"word{n}"}) for n in range(12)]
    (data / "queries.jsonl").write_text("\n".join(asked))
    judged = "".join(f"q{n}\tp{n}\t1\n" for n in range(12))
    (data / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\n" + judged)
    out = str(tmp_path / "out")

    ran = run("measure", "--data", str(data), "--queries", "5", "-o", out, "--json")

    rows = {row["system"]: row for row in json.loads(ran.stdout)}
    assert set(rows) == {
        "words",
        "vectors",
        "fusion",
        "words, reranked",
        "vectors, reranked",
        "fusion, reranked",
    }
    assert rows["words"]["queries"] == 5
    assert rows["words"]["ndcg_at_10"] == 1.0
    assert rows["words, reranked"]["recall"] == 1.0
    assert rows["words"]["p50_ms"] > 0
