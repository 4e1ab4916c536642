"""On a host with a card: the same run on the real thing."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from service.worker.select import has_usable_gpu

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(not has_usable_gpu(), reason="needs an NVIDIA card"),
]


def test_the_collector_the_gate_and_the_watchdog_are_right_on_this_card(tmp_path):
    out = tmp_path / "run.json"
    command = [sys.executable, "-m", "deploy.gpu", "test", "--quick", "-o", str(out)]
    done = subprocess.run(
        [*command, "--recordings", str(tmp_path)], timeout=1500, capture_output=True, check=False
    )

    parts = json.loads(out.read_text())["parts"]
    assert done.returncode == 0, {name: part["why"] for name, part in parts.items()}
    assert parts["readings"]["state"] == "passed"
