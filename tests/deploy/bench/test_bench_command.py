import json
import os

import pytest
from typer.testing import CliRunner

from deploy.cli import app
from tests.deploy.evaluate.server import Endpoint, serving

ROW_FIELDS = {
    "batch", "doc_tokens", "docs_per_s", "p50_ms", "p95_ms", "p99_ms", "rss_mb", "vram_mb",
}  # fmt: skip


@pytest.fixture
def endpoint():
    with serving(Endpoint()) as running:
        yield running


def run(*arguments):
    return CliRunner().invoke(app, ["bench", *arguments])


def test_the_batch_table_has_the_json_shape_that_tools_rely_on(endpoint, tmp_path):
    result = run(
        "--url", endpoint.url, "--batch", "2", "--batch", "3", "--tokens", "16",
        "--seconds", "0.1", "--json", "-o", str(tmp_path),
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    body = json.loads(result.stdout)
    assert [row["batch"] for row in body["rows"]] == [2, 3]
    assert set(body["rows"][0]) >= ROW_FIELDS
    assert body["rows"][0]["docs_per_s"] > 0
    assert body["run"]["url"] == endpoint.url
    assert json.loads((tmp_path / "batches.json").read_text()) == body
    assert (tmp_path / "batches.png").read_bytes().startswith(b"\x89PNG")
    about, table = (tmp_path / "batches.md").read_text().split("\n\n")[:2]
    assert about.startswith(f"test-model at {endpoint.url}")
    assert table.startswith("| batch |")
    page = (tmp_path / "batches.html").read_text()
    assert "data:image/png" in page
    assert "http-equiv" not in page
    assert 'src="http' not in page
    assert body["checks"]["asked"] == 20


def test_memory_and_cpu_are_those_of_the_processes_that_are_named(endpoint):
    cell = ("--url", endpoint.url, "--batch", "2", "--tokens", "16", "--seconds", "0.1", "--json")
    row = json.loads(run(*cell, "--pid", str(os.getpid())).stdout)["rows"][0]
    assert row["rss_mb"] > 20  # this process serves the endpoint
    assert row["cpu_ms_per_doc"] > 0
    other = json.loads(run(*cell).stdout)["rows"][0]
    assert other["rss_mb"] is None
    assert other["cpu_ms_per_doc"] is None


def test_no_query_and_no_document_is_sent_twice(endpoint):
    run("--url", endpoint.url, "--batch", "3", "--tokens", "16", "--seconds", "0.1")
    queries = [body["query"] for _, body in endpoint.bodies if len(body["documents"]) == 3]
    documents = [text for _, body in endpoint.bodies for text in body["documents"]]
    assert len(queries) > 5
    assert len(set(queries)) == len(queries)
    assert len(set(documents)) == len(documents)


def test_two_runs_send_nothing_twice_unless_the_seed_is_given(endpoint):
    cell = ("--url", endpoint.url, "--batch", "3", "--tokens", "16", "--seconds", "0.1")

    def sent(*more):
        endpoint.bodies.clear()
        run(*cell, *more)
        return {text for _, body in endpoint.bodies for text in body["documents"]}

    assert not sent() & sent()
    assert sent("--seed", "5") & sent("--seed", "5")


def test_repeated_sends_the_same_request_again_and_again(endpoint):
    run("--url", endpoint.url, "--batch", "3", "--tokens", "16", "--seconds", "0.1", "--repeated")
    cell = [body["query"] for _, body in endpoint.bodies if len(body["documents"]) == 3]
    assert len(cell) > 5
    assert len(set(cell)) == 1


def test_a_load_at_a_rate_reports_what_was_answered(endpoint):
    result = run(
        "load", "--url", endpoint.url, "--rate", "80", "--seconds", "0.5", "--documents", "2",
        "--tokens", "16", "--json",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    row = json.loads(result.stdout)["rows"][0]
    assert row["failed"] == 0
    assert row["met"] == "not_asked"
    assert 15 < row["requests"] < 80


def test_a_search_finds_a_rate_and_says_how_many_replicas_a_wanted_one_needs(tmp_path):
    with serving(Endpoint(serial_s=0.02)) as slow:  # 50 a second and no more
        result = run(
            "load", "--url", slow.url, "--rate", "100", "--seconds", "0.4", "--documents", "1",
            "--tokens", "16", "--slo-ms", "100", "--wanted", "200", "--json", "-o", str(tmp_path),
        )  # fmt: skip
    assert result.exit_code == 0, result.output
    body = json.loads(result.stdout)
    assert 5 < body["best"]["rate"] < 80
    assert body["advice"]["replicas"] >= 4
    assert body["advice"]["configuration"].startswith("[monitor]")
    assert "[monitor]" in (tmp_path / "load.md").read_text()
    assert (tmp_path / "load.png").exists()


def test_an_objective_that_no_rate_meets_is_exit_code_1():
    with serving(Endpoint(delay_s=0.03)) as slow:
        result = run("load", "--url", slow.url, "--rate", "1", "--seconds", "0.1", "--slo-ms", "1")
    assert result.exit_code == 1


def test_comparing_shows_which_side_is_faster_and_that_scores_agree(endpoint):
    with serving(Endpoint(delay_s=0.02)) as slower:
        result = run(
            "compare", f"other={slower.url}", "--url", endpoint.url, "--clients", "1",
            "--documents", "2", "--tokens", "16", "--rounds", "2", "--seconds", "0.1", "--json",
        )  # fmt: skip
    assert result.exit_code == 0, result.output
    body = json.loads(result.stdout)
    assert body["ratio_docs_per_s"]["min"] > 1.5
    assert body["agreement"] == {"pairs": 40, "largest": 0.0, "same_order": 1.0}
    assert set(body["ours"]) >= {"docs_per_s", "p50_ms", "p99_ms", "cpu_ms_per_doc"}
    assert body["by_load"][0]["clients"] == 1


def test_another_host_is_refused_until_it_is_named_on_purpose(endpoint):
    assert run("--url", "http://192.0.2.1").exit_code == 2
    assert run("compare", "http://192.0.2.1", "--url", endpoint.url).exit_code == 2


def test_an_endpoint_that_is_not_there_is_one_sentence_and_exit_code_1():
    result = run("--url", "http://127.0.0.1:9")
    assert result.exit_code == 1
    assert "Traceback" not in result.output


def test_a_log_is_replayed_at_its_own_times(endpoint, tmp_path):
    (tmp_path / "log").write_text("".join(f"{n / 50}\n" for n in range(20)))
    result = run("load", "--url", endpoint.url, "--replay", str(tmp_path / "log"), "--json")
    assert result.exit_code == 0, result.output
    row = json.loads(result.stdout)["rows"][0]
    assert row["requests"] == 20
    assert row["rate"] == pytest.approx(50, rel=0.01)


def test_what_is_printed_keeps_its_brackets(endpoint, tmp_path):
    (tmp_path / "log").write_text("0\n0.1\n0.2\n")
    result = run(
        "load", "--url", endpoint.url, "--replay", str(tmp_path / "log"), "--slo-ms", "60000",
        "--documents", "1", "--tokens", "16", "--wanted", "5",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "[monitor]" in result.output
