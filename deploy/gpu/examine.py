"""`make gpu-test`: the order of its parts, and its arguments."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from deploy.gpu import about, cost, course, hang, listen, model, readings, record, vram
from deploy.gpu.course import Step
from deploy.gpu.part import Book, Part, Skip
from deploy.gpu.stack import Plan
from service.worker.select import has_usable_gpu

_FRAMES, _QUICK_FRAMES = 60, 5
_COST_S, _QUICK_COST_S = 20.0, 8.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `test`."""
    parser.add_argument("-o", "--out", type=Path, default=Path("build/gpu-test.json"))
    parser.add_argument(
        "--recordings",
        type=Path,
        default=Path("build/gpu-recordings"),
        help="where the recording of the cards goes; add it to tests/recordings by hand",
    )
    parser.add_argument(
        "--engine",
        choices=["auto", "vllm", "scripted"],
        default="auto",
        help="whose process is stopped; auto: vllm where it is installed, else scripted",
    )
    model.add_arguments(parser)
    parser.add_argument("--only", nargs="*", metavar="PART", help="parts by name")
    parser.add_argument(
        "--add", action="store_true", help="keep the parts that an earlier run left in the file"
    )
    parser.add_argument("--slack", type=float, default=1.0, help="factor on promised times")
    parser.add_argument("--quick", action="store_true", help="short recording and cost")
    parser.add_argument("--dry-run", action="store_true", help="say what would be done, and end")
    parser.add_argument("--fake", action="store_true", help=argparse.SUPPRESS)


def run(given: argparse.Namespace) -> int:
    """0: nothing failed; 1: a part failed or was interrupted; 2: a part has no such name."""
    with tempfile.TemporaryDirectory(prefix="rankguard-gpu-") as name:
        steps = _steps(given, Path(name))
        known = [step.name for step in steps]
        wrong = sorted(set(given.only or ()) - set(known))
        if wrong:
            _say(f"no such part: {', '.join(wrong)}; there are {', '.join(known)}")
            return 2
        chosen = [step for step in steps if not given.only or step.name in given.only]
        if given.dry_run:
            course.describe(chosen, _say)
            return 0
        book = Book(given.out, about.observe(given.python, ("nvidia-ml-py",), fake=given.fake))
        try:
            if given.add:
                book.go_on()
        except Skip as skip:
            _say(str(skip))
            return 2
        well = course.go(chosen, book, _say)
    _say(f"{given.out}")
    return 0 if well else 1


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _steps(given: argparse.Namespace, folder: Path) -> list[Step]:
    frames = _QUICK_FRAMES if given.quick else _FRAMES
    period_s = 0.2 if given.quick else 1.0
    return [
        Step(
            readings.NAME,
            "read every card through the collector and through nvidia-smi, and compare",
            readings.run,
        ),
        Step(cost.NAME, "read all cards 200 times in a row and count time and CPU", cost.run),
        Step(
            record.NAME,
            f"read all cards {frames} times and write a recording to {given.recordings}",
            lambda: record.run(
                given.recordings, frames=frames, period_s=period_s, synthetic=given.fake
            ),
        ),
        Step(listen.NAME, "listen to NVML events and the kernel log for 3 s", listen.run),
        Step(
            vram.NAME,
            f"hold {vram.SHARE:.0%} of an idle card's memory for some seconds, in a process of our"
            " own, and kill that process; a card that others use is left alone",
            vram.run,
        ),
        Step(
            hang.NAME,
            "start `rankguard up` with one replica on free ports of loopback, send it requests,"
            " stop its engine process (SIGSTOP), and end it all again",
            lambda: _hang(given, folder),
        ),
    ]


def _hang(given: argparse.Namespace, folder: Path) -> Part:
    engine = given.engine
    if engine == "auto":
        engine = "vllm" if about.has_vllm(given.python) else "scripted"
    plan = Plan(given.python, engine, folder)
    if engine == "vllm":
        weights = model.folder_of(given)
        plan = replace(plan, model=str(weights.resolve()), vllm=_small(given))
        if not has_usable_gpu():
            plan = replace(plan, gpus="none")
    cost_s = _QUICK_COST_S if given.quick else _COST_S
    return hang.run(plan, cost_s=cost_s, slack=given.slack, sleep=time.sleep)


def _small(given: argparse.Namespace) -> dict[str, str | int | float | bool]:
    """Less than half a card, whoever has the rest; in a quick run nothing is compiled."""
    found: dict[str, str | int | float | bool] = {"kv_cache_memory_bytes": 1 << 30}
    if has_usable_gpu():
        found["gpu_memory_utilization"] = 0.4
    if given.quick:
        found["enforce_eager"] = True
    return found
