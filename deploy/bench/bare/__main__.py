"""Our stack beside bare vLLM on one model; `make bench` runs it.

    python -m deploy.bench.bare build/tiny-qwen3-reranker --python build/venv-bench/bin/python
    python -m deploy.bench.bare build/tiny-qwen3-reranker --quick

Writes `bench.json` and `bench.png`. Exit 0: all targets met; 1: one missed, or the scores differ;
2: a side could not be started.
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import uvloop
from rich.console import Console
from rich.progress import Progress, TaskID

from deploy.bench import report, versus
from deploy.bench.bare import contest, outcome, picture, plan, server, sides
from deploy.bench.report import Cells
from deploy.bench.versus import ByLoad, Shape
from deploy.evaluate import provenance
from deploy.evaluate.endpoint import EndpointError

_ASK_VERSIONS = (
    "from importlib.metadata import packages_distributions, version;"
    "names = {d for m in ('vllm', 'torch', 'transformers') for d in packages_distributions()[m]};"
    "import json; print(json.dumps({name: version(name) for name in sorted(names)}))"
)
_LOG_WIDTH = 120
_CARDS = Path("/proc/driver/nvidia/gpus")


def main() -> int:
    """Run it; see above for what is returned."""
    given = _arguments()
    # end like Ctrl-C: the sides are stopped on the way out
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    console = _console(stderr=True)
    began = time.monotonic()
    made_by = provenance.observe("aiohttp", "uvicorn", "uvloop").to_json()
    with tempfile.TemporaryDirectory(prefix="rankguard-bench-") as name:
        options = contest.Options(
            python=given.python,
            engine=sides.Engine(str(given.model.resolve()), on_cpu=not _CARDS.is_dir()),
            folder=given.logs or Path(name),
            doc_tokens=given.tokens,
            seed=given.seed,
            plans=lambda chars: (
                plan.unique(chars, quick=given.quick),
                plan.repeated(chars, quick=given.quick),
            ),
            share=0.1 if given.quick else 1.0,
            limit_s=60 * given.minutes,
        )
        options.folder.mkdir(parents=True, exist_ok=True)
        try:
            found = _contest(options, console, began)
        except server.StartFailed as error:
            console.print(str(error), markup=False, soft_wrap=True)
            return 2
        except (contest.Disagree, EndpointError) as error:
            console.print(str(error), markup=False, soft_wrap=True)
            return 1
    run = made_by | _about(given, time.monotonic() - began)
    body = outcome.to_body(found, run)
    return _finish(found, body, given.out, console)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m deploy.bench.bare",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("model", type=Path, help="folder of a Qwen3-Reranker")
    parser.add_argument("--python", default=sys.executable, help="interpreter that has vLLM")
    parser.add_argument("--tokens", type=int, default=128, help="in a document")
    parser.add_argument("--minutes", type=float, default=18.0, help="the whole run, at most")
    parser.add_argument("--seed", type=int, default=1, help="of the texts")
    parser.add_argument("--quick", action="store_true", help="two loads, short; for development")
    parser.add_argument("--logs", type=Path, help="keep the sides' logs and state in this folder")
    parser.add_argument("-o", "--out", type=Path, default=Path("build"))
    return parser.parse_args()


def _console(*, stderr: bool) -> Console:
    # in a log the tables keep their columns
    width = None if (sys.stderr if stderr else sys.stdout).isatty() else _LOG_WIDTH
    return Console(highlight=False, stderr=stderr, width=width)


def _contest(options: contest.Options, console: Console, began: float) -> outcome.Outcome:
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("starting", total=None)
        watch = _watch(console, progress, task)
        watch.say(
            f"starting {sides.OURS}, {sides.BARE} (its own defaults) and {sides.BARE_SAME} "
            "(our engine settings); a cold compile takes minutes"
        )
        with contest.started(options, watch) as servers:
            return uvloop.run(contest.run(servers, options, watch, began))


def _watch(console: Console, progress: Progress, task: TaskID) -> contest.Watch:
    def tick(name: str, shape: Shape) -> None:
        again = ", repeated" if shape.repeated else ""
        words = f"{name}: {shape.clients} clients x {shape.documents} documents{again}"
        progress.update(task, advance=1, description=words)

    def table(name: str, found: list[ByLoad]) -> None:
        console.print(f"\n{name}, documents per second and milliseconds", style="bold")
        console.print(report.table(report.versus_cells(found)))
        console.print(report.table(_cpu_cells(found)))

    return contest.Watch(
        say=lambda words: console.print(words, style="dim", markup=False, soft_wrap=True),
        expect=lambda runs: progress.update(task, total=runs),
        tick=tick,
        table=table,
    )


def _cpu_cells(found: Sequence[ByLoad]) -> Cells:
    rows = []
    for each in found:
        body = versus.to_json([each])
        one, other = body["ours"], body["bare"]
        assert isinstance(one, dict)
        assert isinstance(other, dict)
        rows.append(
            [
                str(each.shape.clients),
                str(each.shape.documents),
                str(len(each.ours)),
                f"{one['cpu_ms_per_doc'] or 0:.2f}",
                f"{other['cpu_ms_per_doc'] or 0:.2f}",
            ]
        )
    return Cells(("clients", "docs", "rounds", "CPU ms/doc", "their CPU"), rows)


def _about(given: argparse.Namespace, took_s: float) -> dict[str, Any]:
    said = subprocess.run(
        [given.python, "-c", _ASK_VERSIONS], capture_output=True, text=True, timeout=60, check=False
    )
    return {
        "engine_versions": json.loads(said.stdout) if said.returncode == 0 else {},
        "model": given.model.name,
        "doc_tokens": given.tokens,
        "seed": given.seed,
        "quick": given.quick,
        "took_s": round(took_s, 1),
    }


def _finish(found: outcome.Outcome, body: dict[str, Any], out: Path, console: Console) -> int:
    out.mkdir(parents=True, exist_ok=True)
    (out / "bench.json").write_text(json.dumps(body, indent=1) + "\n", encoding="utf-8")
    picture.write(found.comparisons, out / "bench.png")
    rows = outcome.targets(found)
    cells = Cells(
        ("target", "wanted", "measured", ""),
        [(row.name, row.wanted, row.found, "met" if row.met else "MISSED") for row in rows],
    )
    _console(stderr=False).print(report.table(cells))
    console.print(f"{out / 'bench.json'} {out / 'bench.png'}", style="dim", soft_wrap=True)
    return 0 if all(row.met for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
