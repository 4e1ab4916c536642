"""`python -m deploy.gpu test|bench|render`: see `make gpu-test` and `make gpu-bench`."""

from __future__ import annotations

import argparse
import signal
import sys

from deploy.gpu import examine, measure, render


def main() -> int:
    """Run one of them; Ctrl-C and SIGTERM end it in order."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    parser = argparse.ArgumentParser(prog="python -m deploy.gpu", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    examine.add_arguments(commands.add_parser("test", help="prove the watchdog on these cards"))
    measure.add_arguments(commands.add_parser("bench", help="our stack beside bare vLLM here"))
    render.add_arguments(commands.add_parser("render", help="results into docs/measurements.md"))
    given = parser.parse_args()
    runs = {"test": examine.run, "bench": measure.run, "render": render.run}
    return runs[given.command](given)


if __name__ == "__main__":
    sys.exit(main())
