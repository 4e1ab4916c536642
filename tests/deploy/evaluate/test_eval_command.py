import json
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from deploy.cli import app
from tests.deploy.evaluate.server import Endpoint, serving

PAIR_FIELDS = {
    "query_lang", "doc_lang", "queries", "ndcg_at_10", "ndcg_at_3", "mrr_at_10", "map",
    "recall_at_100", "ci95",
}  # fmt: skip


@pytest.fixture
def endpoint():
    with serving(Endpoint()) as running:
        yield running


def run(*arguments):
    return CliRunner().invoke(app, ["eval", *arguments])


def test_it_prints_the_language_pair_table_of_the_shipped_set(endpoint):
    result = run("--url", endpoint.url, "--pair", "zh-Hans>en", "--pair", "en>en")
    assert result.exit_code == 0, result.output
    assert "zh-Hans → en" in result.output
    assert "mean" in result.output


def test_json_has_the_shape_that_tools_rely_on(endpoint):
    result = run("--url", endpoint.url, "--pair", "en>en", "--system", "bm25", "--json")
    assert result.exit_code == 0, result.output
    body = json.loads(result.stdout)
    assert body["dataset"] == "udhr"
    assert body["system"] == "rankguard"
    assert set(body["pairs"][0]) == PAIR_FIELDS
    assert body["pairs"][0]["queries"] == 8
    low, high = body["pairs"][0]["ci95"]
    assert 0 <= low <= body["pairs"][0]["ndcg_at_10"] <= high <= 1
    assert body["mean"]["ndcg_at_10"] == body["pairs"][0]["ndcg_at_10"]
    assert body["others"][0]["system"] == "bm25"
    assert body["run"]["systems"][0]["model"] == "test-model"
    assert {"command", "versions", "machine", "started_at", "seed"} <= set(body["run"])


def test_an_endpoint_that_is_not_there_is_one_sentence_and_exit_code_1():
    result = run("--url", "http://127.0.0.1:9", "--pair", "en>en")
    assert result.exit_code == 1
    assert "nothing listens at http://127.0.0.1:9" in result.output
    assert "Traceback" not in result.output


def test_another_host_is_refused_until_it_is_named_on_purpose():
    result = run("--url", "http://192.0.2.1:8000")
    assert result.exit_code == 2
    assert "--yes-this-host" in result.output


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["--pair", "english"], id="no language pair"),
        pytest.param(["--pair", "xx>yy"], id="a pair without judgements"),
        pytest.param(["--candidates", "some"], id="unknown candidates"),
        pytest.param(["--data", "/nowhere"], id="no such data set"),
    ],
)
def test_wrong_usage_is_exit_code_2(endpoint, arguments):
    result = run("--url", endpoint.url, *arguments)
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output


def test_a_second_instruction_is_compared_with_the_first(endpoint):
    result = run(
        "--url", endpoint.url, "--pair", "en>en", "--json",
        "--instruction", "Find the article", "--instruction", "Find the reverse",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    body = json.loads(result.stdout)
    assert body["comparisons"][0]["against"] == "rankguard [Find the reverse]"
    sent = [body["instruction"] for _, body in endpoint.bodies]
    assert sent.count("Find the article") == sent.count("Find the reverse") == 8


def test_the_gate_lets_an_equal_result_pass_and_stops_a_worse_one(endpoint, tmp_path):
    kept = tmp_path / "before.json"
    kept.write_text(run("--url", endpoint.url, "--pair", "en>en", "--json").stdout)
    again = run("--url", endpoint.url, "--pair", "en>en", "--baseline", str(kept))
    assert again.exit_code == 0, again.output
    endpoint.scorer = lambda query, document: 0.0
    worse = run("--url", endpoint.url, "--pair", "en>en", "--baseline", str(kept))
    assert worse.exit_code == 1
    assert "dropped" in worse.output


def test_needles_are_measured_by_length_and_depth(endpoint):
    result = run(
        "needle", "--url", endpoint.url, "--tokens", "512", "--depth", "0", "--depth", "100",
        "--ask", "en", "--queries", "2", "--json",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    pairs = json.loads(result.stdout)["pairs"]
    assert [(pair["query_lang"], pair["doc_lang"]) for pair in pairs] == [
        ("512 tokens", "0 %"),
        ("512 tokens", "100 %"),
    ]


def test_the_needle_table_shows_no_interval_of_another_metric(endpoint):
    cell = ("--tokens", "512", "--depth", "0", "--ask", "en", "--queries", "2")
    result = run("needle", "--url", endpoint.url, *cell)
    assert "NDCG@3" in result.output
    assert "95 %" not in result.output
    assert "95 %" in run("--url", endpoint.url, "--pair", "en>en").output


def test_variants_are_measured_side_by_side(endpoint):
    result = run("variants", "--url", endpoint.url, "--pair", "en:en", "--queries", "2", "--json")
    assert result.exit_code == 0, result.output
    written = {pair["query_lang"] for pair in json.loads(result.stdout)["pairs"]}
    assert {"as written", "upper case", "full-width"} <= written
    assert any("\uff1f" in body["query"] for _, body in endpoint.bodies)


@pytest.mark.e2e
@pytest.mark.parametrize("command", ["eval", "bench"])
def test_without_the_extra_a_sentence_says_what_to_install(command):
    code = (
        "import sys; sys.modules['ir_measures'] = sys.modules['aiohttp'] = None\n"
        f"sys.argv = ['rankguard', '{command}']; from deploy.cli import main; main()"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert found.returncode == 2
    assert "pip install 'rankguard[eval]'" in found.stderr
    assert "Traceback" not in found.stderr


def test_a_folder_that_cannot_be_written_is_named(endpoint, tmp_path):
    (tmp_path / "file").write_text("")
    result = run("--url", endpoint.url, "--pair", "en>en", "-o", str(tmp_path / "file" / "x"))
    assert result.exit_code == 2
    assert str(tmp_path) in result.output
