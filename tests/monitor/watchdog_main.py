"""A watchdog over scripted workers; its settings come as JSON."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from monitor.app import run
from monitor.settings import MonitorSettings


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--state-dir", type=Path, required=True)
    parser.add_argument("--settings", default="{}")
    parser.add_argument("--worker", default="[]")
    parser.add_argument("--stop-replicas", action="store_true")
    parser.add_argument("--reload-from", type=Path)
    given = parser.parse_args()
    worker = [sys.executable, "-m", "tests.monitor.worker_main", "--state-dir"]
    return run(
        MonitorSettings(**json.loads(given.settings)),
        state_dir=given.state_dir,
        worker_command=[*worker, str(given.state_dir), *json.loads(given.worker)],
        stop_replicas_on_exit=given.stop_replicas,
        config_path=given.reload_from,
        reload=lambda: MonitorSettings(**json.loads(given.reload_from.read_text())),
    )


if __name__ == "__main__":
    sys.exit(main())
