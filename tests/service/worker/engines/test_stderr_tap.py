from __future__ import annotations

import subprocess
import sys

# fd 2 is the process's own, so the tap is tried in a process of its own
PROGRAM = """
import os, subprocess, sys
from service.worker.engines.stderr_tap import StderrTap
tap = StderrTap()
child = subprocess.Popen(["sh", "-c", "read _; echo from the child >&2; printf rest >&2"],
                         stdin=subprocess.PIPE)
os.write(2, b"from the parent\\n")
tap.close_here()
os.write(2, b"after closing\\n")
child.communicate(b"go\\n")
print("|".join(tap.lines(wait_s=5)))
"""


def test_the_tap_reads_along_and_passes_on():
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=30, check=True
    )

    assert done.stdout.strip() == "from the parent|from the child|rest"
    assert {"from the parent", "after closing", "from the child"} <= set(done.stderr.splitlines())
    assert done.stderr.endswith("rest")
