"""What a newcomer does: `up` on the embedded model, a folder into the index, a question."""

from __future__ import annotations

import json
import subprocess

import pytest
import requests

from tests.e2e.stack import stack

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(400)]

PAGES = {
    "drain.md": "# Take a replica out of traffic\n\n"
    "`rankguard replica drain replica-0` lets what is in flight finish and sends it nothing new.",
    "alerts.md": "# Alerts\n\nReceivers get a webhook when a GPU is lost or a replica hangs.",
    "install.md": "# Installation\n\nPython 3.10 and Linux are needed; `make up` does all.",
    "keys.md": "# API keys\n\nA file of names and SHA-256 sums says who may call the service.",
}


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    folder = tmp_path_factory.mktemp("search")
    more = "[service.search]\nenabled = true\n"
    with stack(folder, engine="embedded", more=more) as started:
        started.start("up", "up")
        started.wait_ready(limit_s=180)
        docs = folder / "docs"
        docs.mkdir()
        for name, text in PAGES.items():
            (docs / name).write_text(text)
        yield started


def command(running, *arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        running.command("search", *arguments),
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


def test_the_page_is_found_on_a_fresh_machine_by_command_and_over_http(running):
    indexed = command(running, "index", str(running.folder / "docs"))
    asked = command(running, "query", "how do I drain a replica", "--json")
    body = {"query": "谁可以调用服务", "top": 2}
    chinese = requests.post(f"{running.url}/v1/search", json=body, timeout=60)

    assert indexed.returncode == 0, indexed.stderr
    assert "4 texts; 4 new or changed" in indexed.stdout
    assert asked.returncode == 0, asked.stderr
    answer = json.loads(asked.stdout)
    assert answer["results"][0]["source"] == "drain.md"
    assert answer["meta"]["recall_model"] == "multilingual-e5-small"
    assert "one model embeds and ranks here" in answer["meta"]["why"]
    assert chinese.status_code == 200, chinese.text
    assert chinese.json()["results"][0]["source"] == "keys.md"


def test_an_index_is_written_while_a_gateway_searches_it(running):
    # the gateway has it for a moment after a search, and gives it back: the command waits
    requests.post(f"{running.url}/v1/search", json={"query": "alerts"}, timeout=60)
    (running.folder / "docs" / "alerts.md").write_text("# Alerts\n\nAll is new here.")

    again = command(running, "index", str(running.folder / "docs"), "--json")

    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["indexed"] >= 1
