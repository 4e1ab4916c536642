"""`make gpu-bench`: the order of its parts, and its arguments."""

from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from deploy.bench.bare import sides
from deploy.gpu import about, caches, card, course, loads, model, several, speed, starts, where
from deploy.gpu.course import Step
from deploy.gpu.ground import Ground, Machine, environment
from deploy.gpu.loads import Bench, Facts, Grid
from deploy.gpu.part import Book, Part, Skip
from deploy.gpu.stack import Plan
from monitor.gpu import CardSample, Field

_LONGEST = 9216
"""8,192 tokens of a document, the prompt around it, and room for a count that is off by a tenth."""

_LONGEST_CPU = 2048


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `bench`."""
    parser.add_argument("-o", "--out", type=Path, default=Path("build/gpu-bench.json"))
    parser.add_argument("--engine", choices=["vllm", "vllm-cpu"], default="vllm")
    model.add_arguments(parser)
    parser.add_argument("--only", nargs="*", metavar="PART", help="parts by name")
    parser.add_argument(
        "--add", action="store_true", help="keep the parts that an earlier run left in the file"
    )
    parser.add_argument("--quick", action="store_true", help="few loads, short, not compiled")
    parser.add_argument("--dry-run", action="store_true", help="say what would be done, and end")


def run(given: argparse.Namespace) -> int:
    """0: nothing failed; 1: a part failed or was interrupted; 2: it cannot be run here."""
    with tempfile.TemporaryDirectory(prefix="rankguard-gpu-bench-") as name:
        folder = Path(name)
        steps = _steps(given, folder, None)
        wrong = sorted(set(given.only or ()) - {step.name for step in steps})
        if wrong:
            known = ", ".join(step.name for step in steps)
            _say(f"no such part: {', '.join(wrong)}; there are {known}")
            return 2
        if given.dry_run:
            course.describe(_chosen(given, steps), _say)
            return 0
        try:
            with _bench(given, folder) as bench:
                packages = ("aiohttp", "uvicorn", "uvloop")
                book = Book(given.out, about.observe(given.python, packages, fake=False))
                book.run |= {"engine": given.engine, "quick": given.quick}
                book.run["model"] = Path(bench.ground.machine.engine.model).name
                if given.add:
                    book.go_on()
                well = course.go(_chosen(given, _steps(given, folder, bench)), book, _say)
        except Skip as skip:
            _say(str(skip))
            return 2
    _say(f"{given.out}")
    return 0 if well else 1


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _chosen(given: argparse.Namespace, steps: list[Step]) -> list[Step]:
    return [step for step in steps if not given.only or step.name in given.only]


@contextlib.contextmanager
def _bench(given: argparse.Namespace, folder: Path) -> Iterator[Bench]:
    """The ground on an idle card or the CPU; everything that was started is ended."""
    on_cpu = given.engine == "vllm-cpu"
    sample = None if on_cpu else _idle_card()
    if not about.has_vllm(given.python):
        raise Skip(f"{given.python} has no vLLM; name one that has it with --python")
    weights = model.folder_of(given)
    longest = _LONGEST_CPU if on_cpu else _LONGEST
    engine = sides.Engine(str(weights.resolve()), on_cpu, longest)
    total = 0.0 if sample is None else sample.number(Field.MEMORY_TOTAL) or 0.0
    machine = Machine(given.python, engine, folder, total, eager=given.quick)
    ground = Ground(machine)
    visible = {}
    if sample is not None:
        visible = {
            "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
            "CUDA_VISIBLE_DEVICES": str(sample.card.index),
        }
    with environment(**visible):
        try:
            yield Bench(ground, _grid(given), Facts(), _say)
        finally:
            ground.close()


def _idle_card() -> CardSample:
    collector, found = card.open_collector()
    collector.close()
    return card.idle_card(found)


def _grid(given: argparse.Namespace) -> Grid:
    if given.engine == "vllm-cpu":
        return loads.CPU_QUICK if given.quick else loads.CPU
    return loads.CARD_QUICK if given.quick else loads.CARD


def _steps(given: argparse.Namespace, folder: Path, bench: Bench | None) -> list[Step]:
    """All parts; without a bench they can be described and not run."""

    def part(run: Callable[[Bench], Part]) -> Callable[[], Part]:
        def call() -> Part:
            assert bench is not None, "a dry run runs nothing"
            return run(bench)

        return call

    grid = _grid(given)
    lengths = ", ".join(map(str, grid.documents))
    clients = ", ".join(map(str, grid.clients))
    cold = not given.quick
    return [
        Step(
            speed.LIMIT,
            "multiply matrices for a second with torch",
            part(lambda it: speed.limit(it, given.python, Path(it.ground.machine.engine.model))),
        ),
        Step(
            starts.NAME,
            "start our gateway and one worker on free ports of loopback"
            + (", with empty caches and again" if cold else ""),
            part(lambda it: starts.run(it, folder, cold=cold)),
        ),
        Step(
            speed.NAME,
            f"start a bare vLLM server, ask both in turn: documents of {lengths} tokens, {clients}"
            " clients",
            part(speed.run),
        ),
        Step(
            where.NAME,
            "one load on ours, and where its time goes",
            part(lambda it: where.run(it, folder)),
        ),
        Step(
            caches.NAME,
            "end bare vLLM, start ours without prefix cache, compare; then known documents",
            part(caches.run),
        ),
        Step(
            several.NAME,
            f"one load on {', '.join(map(str, grid.replicas))} replicas of ours",
            part(several.run),
        ),
        Step(
            starts.RESTART,
            "end all that; start `rankguard up`, kill its only replica (SIGKILL), wait for the"
            " next answer",
            part(lambda it: _restart(it, folder)),
        ),
    ]


def _restart(bench: Bench, folder: Path) -> Part:
    bench.ground.close()
    machine = bench.ground.machine
    share = bench.ground.share
    sized = machine.sized(share)
    plan = Plan(
        machine.python,
        "vllm",
        folder / "restart",
        model=sized.model,
        max_model_len=sized.max_model_len,
        gpus="none" if sized.on_cpu else "nvml",
        vllm={"kv_cache_memory_bytes": sized.cache_bytes, **machine.arguments(share)},
    )
    return starts.restart(plan)
