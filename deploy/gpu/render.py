"""The results of real cards as a section of docs/measurements.md.

    python -m deploy.gpu render docs/measurements.md

A run on a fake driver or on the CPU is no measurement of a card: it never gets into the document.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

BEGIN, END = "<!-- gpu: begin -->", "<!-- gpu: end -->"
NOT_YET = "not measured yet"
_COLUMNS = {
    "speed": (
        "side",
        "doc_tokens",
        "documents",
        "clients",
        "docs_per_s",
        "p50_ms",
        "p99_ms",
        "tokens_per_s",
        "share_of_limit",
        "ratio",
        "failed",
    ),
    "caches": ("side", "doc_tokens", "documents", "clients", "docs_per_s", "p50_ms", "p99_ms"),
    "replicas": (
        "replicas",
        "doc_tokens",
        "documents",
        "clients",
        "docs_per_s",
        "p50_ms",
        "p99_ms",
    ),
}

Body = Mapping[str, Any]
"""A result file, as it was read."""


class NoSection(Exception):
    """The document has no place for it."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `render`."""
    parser.add_argument("document", type=Path)
    parser.add_argument("--test", type=Path, default=Path("build/gpu-test.json"))
    parser.add_argument("--bench", type=Path, default=Path("build/gpu-bench.json"))


def run(given: argparse.Namespace) -> int:
    """0: written, or there was nothing new to write; 2: the document has no place for it."""
    text = given.document.read_text(encoding="utf-8")
    try:
        new = replaced(text, section(_read(given.test), _read(given.bench)))
    except NoSection as error:
        print(f"{given.document}: {error}", file=sys.stderr)
        return 2
    if new != text:
        given.document.write_text(new, encoding="utf-8")
    return 0


def _read(path: Path) -> Body | None:
    try:
        body: Body = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return body


def replaced(text: str, found: str) -> str:
    """The document with the section in its place; measured numbers are not replaced by none.

    Raises:
        NoSection: the two marks are not there.
    """
    before, begin, rest = text.partition(BEGIN)
    inside, end, after = rest.partition(END)
    if not begin or not end:
        raise NoSection(f"the marks {BEGIN} and {END} are missing")
    if found == NOT_YET and inside.strip():
        return text
    return f"{before}{BEGIN}\n{found}\n{END}{after}"


def section(test: Body | None, bench: Body | None) -> str:
    """What is between the marks."""
    parts = []
    if test is not None and _is_real(test):
        parts.append(_test(test))
    if bench is not None and _is_real(bench) and bench["run"].get("engine") == "vllm":
        parts.append(_bench(bench))
    return "\n\n".join(parts) or NOT_YET


def _is_real(body: Body) -> bool:
    run = body.get("run", {})
    return not run.get("fake", True) and bool(run.get("device", {}).get("names"))


def _about(body: Body) -> str:
    run = body["run"]
    device, machine = run["device"], run["machine"]
    names = device["names"]
    versions = {**run.get("versions", {}), **run.get("engine_versions", {})}
    kept = ("rankguard", "vllm", "torch", "transformers", "python")
    words = ", ".join(f"{name} {versions[name]}" for name in kept if name in versions)
    partial = " The run was interrupted: what is missing was not run." if body["partial"] else ""
    return (
        f"{len(names)} x {names[0]} ({device['memory_gib'][0]} GiB), driver {device['driver']};"
        f" {machine['cores']} cores of {machine['cpu']}; {words}. `{run['command']}`,"
        f" {run['started_at'][:10]}.{partial}"
    )


def _test(body: Body) -> str:
    rows = []
    for name, part in body["parts"].items():
        numbers = "; ".join(f"{key} {_cell(value)}" for key, value in part["numbers"].items())
        why = f"{part['why']}; " if part["why"] else ""
        rows.append({"part": name, "result": part["state"], "numbers": why + numbers})
    return f"**The watchdog on the card.** {_about(body)}\n\n" + table(
        ("part", "result", "numbers"), rows
    )


def _bench(body: Body) -> str:
    found = [f"**Speed on the card.** {_about(body)}"]
    rows = [
        {"part": name, "result": part["state"], "what": key, "value": value}
        for name, part in body["parts"].items()
        for key, value in part["numbers"].items()
    ]
    found.append(table(("part", "result", "what", "value"), rows))
    for name, columns in _COLUMNS.items():
        loads = body["parts"].get(name, {}).get("rows", {}).get("loads", [])
        if loads:
            found.append(f"{name}:\n\n{table(columns, loads)}")
    return "\n\n".join(found)


def table(columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> str:
    """A Markdown table; what a row lacks is empty."""
    lines = [
        f"| {' | '.join(name.replace('_', ' ') for name in columns)} |",
        f"|{'---|' * len(columns)}",
        *(f"| {' | '.join(_cell(row.get(name)) for name in columns)} |" for row in rows),
    ]
    return "\n".join(lines)


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return str(value).replace("|", "\\|")
