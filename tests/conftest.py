"""Fixtures for every test: nothing of this machine's own configuration leaks in."""

from __future__ import annotations

import os

import pytest


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch):
    for name in list(os.environ):
        if name.startswith("RANKGUARD_"):
            monkeypatch.delenv(name)
