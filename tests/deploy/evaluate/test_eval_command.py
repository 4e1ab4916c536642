import json

import pytest
from typer.testing import CliRunner

from deploy.cli import app
from tests.deploy.evaluate.server import Endpoint, serving

PAIR_FIELDS = {
    "query_lang", "doc_lang", "queries", "ndcg_at_10", "mrr_at_10", "map", "recall_at_100", "ci95",
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
    assert "127.0.0.1:9" in result.output
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
