"""The rendered files as they are expected, word for word.

`python -m tests.deploy.render.golden` writes them anew; look at the difference before committing.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from deploy.config import Config
from deploy.render.artefact import Artefact, write
from deploy.render.host import Site
from deploy.render.kind import Kind, render

GOLDEN = Path(__file__).parent / "golden"
RACK = Site(hosts=("gpu-1", "gpu-2"))
CONFIG = {
    "service": {"host": "10.0.0.1", "api_keys_file": "/etc/rankguard/api_keys"},
    "monitor": {"host": "10.0.0.1", "replicas": 2},
    "alerts": {
        "receivers": [
            {"name": "oncall", "type": "webhook", "url": "https://alerts.example.com/hook"}
        ]
    },
}


def config(**sections):
    merged = {name: dict(values) for name, values in CONFIG.items()}
    for name, values in sections.items():
        merged.setdefault(name, {}).update(values)
    return Config.model_validate(merged)


def rendered(kind):
    """Path -> text; without the dashboards, whose JSON has a test of its own, and without the
    effective configuration, which names every setting."""
    return {
        artefact.path: artefact.text
        for artefact in render(kind, config(), RACK)
        if not artefact.path.endswith((".json", ".toml"))
    }


if __name__ == "__main__":
    shutil.rmtree(GOLDEN, ignore_errors=True)
    for each in Kind:
        write([Artefact(path, text) for path, text in rendered(each).items()], GOLDEN / each.value)
    sys.exit(0)
