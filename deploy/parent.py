"""Ending with the parent process, even when the parent is killed and can say nothing."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1  # prctl(2)


def end_with_parent(parent: int | None) -> None:
    """Ask the kernel for SIGTERM when the parent dies; exit now if it already has.

    Args:
        parent: the parent's pid as the parent knows it, None to go on without one.
    """
    if parent is None:
        return
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        sys.exit(0)
