"""Fixtures for every test: nothing of this machine's own configuration leaks in."""

from __future__ import annotations

import os
import signal

import pytest


def pytest_configure() -> None:
    # a job in the background of a script starts with Ctrl-C ignored, and so would all its children
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch):
    for name in list(os.environ):
        if name.startswith("RANKGUARD_"):
            monkeypatch.delenv(name)
