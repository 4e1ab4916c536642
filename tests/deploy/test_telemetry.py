from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from service.settings import EmbeddedSettings
from service.worker.engines.e5.place import FORMAT, cache_root

FOLDER = cache_root(EmbeddedSettings()) / FORMAT
SCORE = """
import sys
from pathlib import Path
from service.worker.engines.e5.forward import Forward
Forward(Path(sys.argv[1]))
"""


def test_the_embedded_engine_leaves_no_trace_of_telemetry(tmp_path):
    if not (FOLDER / "manifest.json").is_file():
        pytest.skip("the embedded model is not prepared: rankguard model prepare")
    environment = {k: v for k, v in os.environ.items() if "TELEMETRY" not in k}
    homes = {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)}

    done = subprocess.run(
        [sys.executable, "-c", SCORE, str(FOLDER)],
        env={**environment, **homes},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=Path(__file__).parents[2],
    )

    assert done.returncode == 0, done.stderr
    assert list(tmp_path.rglob("*onnxruntime*")) == []
