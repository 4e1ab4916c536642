"""Becomes the given command, which the kernel ends when the benchmark dies, however it dies.

python -m deploy.bench.bare.child PARENT_PID COMMAND ARGUMENT...
"""

from __future__ import annotations

import os
import sys

from deploy.parent import end_with_parent


def main() -> None:
    """Ask for the signal, which stays across exec, and become the command."""
    parent, *command = sys.argv[1:]
    end_with_parent(int(parent))
    os.execvp(command[0], command)  # noqa: S606 - no shell


if __name__ == "__main__":
    main()
