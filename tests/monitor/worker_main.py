"""A worker with the scripted engine: what the watchdog of these tests starts."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from service.settings import EngineSettings, ScriptedSettings, ServiceSettings
from service.worker.app import Identity, run


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--state-dir", type=Path, required=True)
    parser.add_argument("--load-s", type=float, default=0.1)
    parser.add_argument("--start-error", default="")
    parser.add_argument("--id", required=True)
    parser.add_argument("--generation", type=int, required=True)
    parser.add_argument("--watched", action="store_true")
    parser.add_argument("--gpu")
    given = parser.parse_args()
    scripted = ScriptedSettings(
        load_s=given.load_s,
        start_error=given.start_error,
        script=given.state_dir / f"{given.id}.script.json",
    )
    return run(
        ServiceSettings(state_dir=given.state_dir, drain_timeout_s=5),
        EngineSettings(kind="scripted", scripted=scripted),
        Identity(given.id, given.generation, given.watched, given.gpu),
    )


if __name__ == "__main__":
    sys.exit(main())
