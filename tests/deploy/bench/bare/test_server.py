import asyncio
import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from deploy.bench.bare import overhead, server
from deploy.bench.text import Library
from deploy.evaluate.dialect import DIALECTS
from deploy.evaluate.endpoint import Client, Target
from tests.waiting import until


def family(pids):
    """The processes and all that they started."""
    roots = [psutil.Process(pid) for pid in pids]
    return [*roots, *(child for root in roots for child in root.children(recursive=True))]


def gone(process):
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


@pytest.mark.e2e
def test_our_stack_starts_is_measured_and_leaves_nothing_behind(tmp_path):
    stack = server.start_ours("instant", sys.executable, None, tmp_path)
    try:
        stack.wait_ready(60)
        processes = family(stack.pids)

        async def main():
            async with Client() as client:
                return await overhead.measure(
                    client,
                    Target("gateway", stack.url, DIALECTS["vllm"]),
                    stack.manifest().url,
                    Library(seed=1),
                    documents=3,
                    chars=100,
                    requests=30,
                    deadline=time.monotonic() + 30,
                )

        found = asyncio.run(main())
    finally:
        stack.stop()
    assert found.requests == 30
    assert found.worker_p50 > 0
    assert found.p50 > 0  # whatever the gateway does, it is not faster than going past it
    assert len(processes) >= 2
    assert all(gone(each) for each in processes)


def test_a_side_that_ends_by_itself_is_reported_with_the_end_of_its_log(tmp_path):
    side = server.Server("bare", server.free_port(), "/health")
    side.start([sys.executable, "-c", "import sys; print('no such model'); sys.exit(3)"],
               tmp_path / "log")  # fmt: skip
    with pytest.raises(server.StartFailed, match=r"bare ended with 3:\nno such model"):
        side.wait_ready(30)
    side.stop()


def test_a_side_that_does_not_answer_in_time_is_given_up(tmp_path):
    side = server.Server("bare", server.free_port(), "/health")
    side.start([sys.executable, "-c", "import time; time.sleep(60)"], tmp_path / "log")
    with pytest.raises(server.StartFailed, match=r"not ready within 0\.1 s"):
        side.wait_ready(0.1, sleep=lambda _: None)
    side.stop()
    assert side.processes[0].poll() is not None


def test_a_side_ends_when_the_benchmark_is_killed(tmp_path):
    program = """
import sys, time
from pathlib import Path
from deploy.bench.bare.server import Server
side = Server("bare", 1, "/health")
side.start([sys.executable, "-c", "import time; time.sleep(60)"], Path(sys.argv[1]))
print(side.pids[0], flush=True)
time.sleep(60)
"""
    bench = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path / "log")], stdout=subprocess.PIPE, text=True
    )
    child = psutil.Process(int(bench.stdout.readline()))
    until("the side runs", lambda: "time.sleep(60)" in " ".join(child.cmdline()[-1:]))
    os.kill(bench.pid, signal.SIGKILL)
    bench.communicate(timeout=10)
    until("the side is gone", lambda: gone(child))
