"""PURE: a TLS certificate as the watchdog saw it at an address that users reach."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Certificate:
    """One look at one address.

    Attributes:
        target: `host:port`, as configured.
        expires_at: Unix seconds; None when no valid certificate was shown.
        problem: why not, in words; empty when all is well.
    """

    target: str
    expires_at: float | None
    problem: str = ""
