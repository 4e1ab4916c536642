"""Numbers of real cards get into the document, and nothing else does."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest

from deploy.gpu import render
from deploy.gpu.render import BEGIN, END, NOT_YET, NoSection, replaced, section

DOCUMENT = Path(__file__).parents[3] / "docs" / "measurements.md"


def body(*, fake=False, names=("NVIDIA H100 80GB HBM3",), partial=False, **run):
    return {
        "run": {
            "command": "__main__.py test",
            "started_at": "2026-11-22T15:00:00+00:00",
            "versions": {"rankguard": "0.1.0", "python": "3.12.3"},
            "engine_versions": {"vllm": "0.25.0"},
            "machine": {"cores": 16, "cpu": "Xeon"},
            "device": {"names": list(names), "driver": "580.159.04", "memory_gib": [79.6]},
            "fake": fake,
            **run,
        },
        "partial": partial,
        "parts": {
            "speed": {
                "state": "passed",
                "why": "",
                "numbers": {"ratio_median": 1.25},
                "rows": {"loads": [{"side": "ours", "docs_per_s": 12345.6, "ratio": 1.25}]},
            }
        },
    }


def test_a_run_on_a_card_is_told_with_device_driver_versions_command_and_date():
    found = section(body(), None)

    for words in (
        "H100",
        "79.6 GiB",
        "580.159.04",
        "vllm 0.25.0",
        "__main__.py test",
        "2026-11-22",
    ):
        assert words in found
    assert "| speed | passed | ratio_median 1.25 |" in found
    assert "interrupted" not in found


def test_the_loads_of_a_benchmark_are_a_table():
    found = section(None, body(engine="vllm"))

    assert "| ours |  |  |  | 12,346 |" in found


def test_an_interrupted_run_says_so():
    assert "interrupted" in section(body(partial=True), None)


@pytest.mark.parametrize(
    ("test", "bench"),
    [
        pytest.param(None, None, id="nothing was run"),
        pytest.param(body(fake=True), None, id="a fake driver"),
        pytest.param(body(names=()), None, id="no card"),
        pytest.param(None, body(engine="vllm-cpu"), id="vLLM on the CPU, though a card is there"),
        pytest.param(None, body(engine="vllm", names=()), id="no card under the benchmark"),
    ],
)
def test_what_was_not_measured_on_a_card_is_not_measured_yet(test, bench):
    assert section(test, bench) == NOT_YET


def test_measured_numbers_are_replaced_by_new_ones_and_never_by_none():
    text = f"a\n{BEGIN}\nold\n{END}\nb\n"

    assert replaced(text, "new") == f"a\n{BEGIN}\nnew\n{END}\nb\n"
    assert replaced(text, NOT_YET) == text
    assert NOT_YET in replaced(f"{BEGIN}{END}", NOT_YET)


def test_a_document_without_the_marks_is_refused():
    with pytest.raises(NoSection):
        replaced("nothing here", "new")


def test_the_command_writes_the_document(tmp_path):
    document, results = tmp_path / "m.md", tmp_path / "gpu-test.json"
    document.write_text(f"{BEGIN}\n{NOT_YET}\n{END}\n")
    results.write_text(json.dumps(body()))
    given = argparse.Namespace(document=document, test=results, bench=tmp_path / "none.json")

    assert render.run(given) == 0
    assert "H100" in document.read_text()


def test_our_own_document_has_its_place_for_it():
    text = DOCUMENT.read_text(encoding="utf-8")

    inside = text.partition(BEGIN)[2].partition(END)[0].strip()
    assert inside
    assert replaced(text, NOT_YET) == text
