"""What a check found. Values only."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


@dataclass(frozen=True, slots=True)
class Finding:
    """One check's result.

    Attributes:
        fix: what to type or to set; empty only when there is nothing to mend.
    """

    class Level(str, Enum):
        """How bad: a fail keeps the service from starting."""

        OK = "ok"
        WARN = "warn"
        FAIL = "fail"

    check: str
    level: Finding.Level
    message: str
    fix: str = ""


def ok(check: str, message: str) -> Finding:
    """Nothing to mend."""
    return Finding(check, Finding.Level.OK, message)


def warn(check: str, message: str, fix: str) -> Finding:
    """It starts, and something will be missing or slow."""
    return Finding(check, Finding.Level.WARN, message, fix)


def fail(check: str, message: str, fix: str) -> Finding:
    """It cannot start, or not do its work."""
    return Finding(check, Finding.Level.FAIL, message, fix)
