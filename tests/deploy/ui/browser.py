"""A real browser before a real playground, for tests and for the pictures in the documents."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import requests

from tests.waiting import free_port, until

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = ["--no-sandbox", "--disable-gpu"]  # root in a container has no sandbox
PHONE = {"width": 375, "height": 812}
DESK = {"width": 1280, "height": 900}
START_S = 120.0


def opened(page, url: str):
    """Open the playground and wait until it is usable."""
    page.goto(url)
    page.locator("#results").wait_for()
    page.locator(".rg-status > *").first.wait_for()  # what answers: the first event is over
    return page


def answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=5).status_code in {200, 401}
    except requests.RequestException:
        return False


@contextlib.contextmanager
def playground(folder: Path, **environ: object) -> Iterator[str]:
    """A `rankguard ui` of its own; its output is in `folder/ui.log`."""
    port = free_port()
    given = {"PORT": port, **environ}
    url = f"http://127.0.0.1:{port}/"
    with (folder / "ui.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "deploy", "ui"],
            stdout=log,
            stderr=log,
            env={**os.environ, **{f"RANKGUARD_UI__{k}": str(v) for k, v in given.items()}},
        )
    try:
        until("the playground opens", lambda: answers(url), START_S)
        yield url
    finally:
        process.terminate()
        process.wait(20)
