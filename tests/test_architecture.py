"""What the map says, held against the code: a module that calls itself PURE is."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("service", "monitor", "alerts", "deploy", "grafana")

OUTSIDE = {
    *("aiohttp", "apscheduler", "asyncio", "fastapi", "jinja2", "logging", "os", "psutil"),
    *("prometheus_client", "pydantic", "pynvml", "requests", "shutil", "smtplib", "socket"),
    *("sqlite3", "ssl", "starlette", "subprocess", "sys", "tempfile", "threading", "time"),
    *("urllib3", "uvicorn"),
}
"""What touches the world or reads a clock."""


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def is_pure(path: Path) -> bool:
    return "PURE" in (ast.get_docstring(parsed(path)) or "")


def imported(path: Path) -> set[str]:
    """Names of modules that a file imports, wherever in it."""
    names: set[str] = set()
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module}
    return names


MODULES = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]
PURE = [path for path in MODULES if is_pure(path)]


def own_files(names: set[str]) -> list[Path]:
    paths = (ROOT / (name.replace(".", "/") + ".py") for name in names)
    return sorted(path for path in paths if path.is_file())


def closure(path: Path) -> dict[Path, set[str]]:
    """Every file of ours that a file reaches by import, and what each imports."""
    found: dict[Path, set[str]] = {}
    waiting = [path]
    while waiting:
        current = waiting.pop()
        if current not in found:
            found[current] = imported(current)
            waiting += own_files(found[current])
    return found


def outside(files: dict[Path, set[str]]) -> set[str]:
    return {
        f"{path.relative_to(ROOT)} imports {name}"
        for path, names in files.items()
        for name in names
        if name.partition(".")[0] in OUTSIDE
    }


@pytest.mark.parametrize("path", PURE, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_that_calls_itself_pure_touches_nothing_outside(path):
    assert outside({path: imported(path)}) == set()


@pytest.mark.parametrize(
    "name",
    [
        "service/gateway/chunking.py",
        "service/gateway/routing.py",
        "service/gateway/ranking.py",
        "service/worker/prompts/qwen3.py",
        "monitor/health.py",
        "monitor/policy.py",
        "monitor/backoff.py",
        "monitor/window.py",
        "monitor/scaling.py",
        "monitor/xid.py",
        "alerts/route.py",
        "alerts/grouping.py",
        "alerts/dedup.py",
        "alerts/flap.py",
        "alerts/silence.py",
        "alerts/retry.py",
        "alerts/words.py",
    ],
)
def test_what_the_design_calls_pure_is_pure_down_to_the_last_import(name):
    assert is_pure(ROOT / name)
    assert outside(closure(ROOT / name)) == set()


def test_every_module_says_what_it_is():
    silent = [
        str(path.relative_to(ROOT))
        for path in MODULES
        if path.stat().st_size > 0 and not ast.get_docstring(parsed(path))
    ]

    assert silent == []
