"""`rankguard eval compare`: systems in rows, and the published figures beside them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from deploy.cli import app
from deploy.evaluate import published
from tests.deploy.evaluate.server import Endpoint, serving

ROOT = Path(__file__).parents[3]


@pytest.fixture
def endpoint():
    with serving(Endpoint()) as running:
        yield running


def compare(endpoint, *arguments):
    return CliRunner().invoke(
        app, ["eval", "compare", "--url", endpoint.url, "--pair", "en>en", *arguments]
    )


def test_each_system_is_a_row_with_its_difference_from_the_first(endpoint):
    result = compare(endpoint, "bm25", f"again={endpoint.url}")

    assert result.exit_code == 0, result.output
    rows = {line.split()[0]: line.split() for line in result.output.splitlines() if line.strip()}
    assert rows["rankguard"][1] == rows["again"][1]  # the same endpoint ranks the same
    assert rows["again"][-2:] == ["+0.000", "1.0000"]
    gain = float(rows["bm25"][1]) - float(rows["rankguard"][1])
    assert float(rows["bm25"][-2]) == pytest.approx(gain, abs=0.0011)


def test_bm25_is_the_peer_when_none_is_named(endpoint):
    body = json.loads(compare(endpoint, "--json").stdout)

    assert [body["system"], *(each["system"] for each in body["others"])] == ["rankguard", "bm25"]


def test_published_figures_stand_apart_and_are_marked(endpoint):
    output = compare(endpoint).output

    measured, _, rest = output.partition("published")
    assert "Qwen3-Reranker-0.6B" not in measured
    assert "65.80" in rest
    assert "not measured here" in rest


def test_the_report_has_the_row_of_each_system(endpoint, tmp_path):
    compare(endpoint, "-o", str(tmp_path))

    assert "| bm25 | 0." in (tmp_path / "report.md").read_text()


def test_the_document_has_the_published_figures_that_the_command_prints():
    document = (ROOT / "docs" / "evaluation.md").read_text()

    for model, values in published.ROWS:
        row = " | ".join(f"{value:.2f}" for value in values)
        assert f"| {model} | {row} |" in document
