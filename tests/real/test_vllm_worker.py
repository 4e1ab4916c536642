"""A worker process with real vLLM: drain, death, hang, failed starts, and nothing left behind."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from service.manifest import WorkerState, read_manifest, replicas_dir
from service.worker.guardian import group_members
from tests.waiting import until

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.timeout(600)]

START_S = 300.0  # a machine that does other things too imports vLLM for minutes
_PROGRAM = """
import json, sys
from service.settings import EngineSettings, ServiceSettings
from service.worker.app import Identity, run
if __name__ == "__main__":
    service, engine = (json.loads(text) for text in sys.argv[1:])
    sys.exit(run(ServiceSettings(**service), EngineSettings(**engine), Identity()))
"""


class Worker:
    def __init__(self, folder: Path, model: Path, **engine: object) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        program = folder / "worker.py"  # a file: vLLM's children import the main module again
        program.write_text(_PROGRAM)
        vllm = {"enforce_eager": True, "kv_cache_memory_bytes": 1 << 30}
        vllm |= engine.pop("vllm", {})
        settings = {
            "kind": "vllm",
            "model": str(model),
            "max_model_len": 2048,
            "self_check": "warn",
            "vllm": vllm,
            **engine,
        }
        self.state_dir = folder / "state"
        service = {"state_dir": str(self.state_dir), "drain_timeout_s": 20.0}
        self.log = (folder / "log").open("wb")
        self.process = subprocess.Popen(
            [sys.executable, str(program), json.dumps(service), json.dumps(settings)],
            start_new_session=True,
            stderr=self.log,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        )

    @property
    def manifest(self):
        return read_manifest(replicas_dir(self.state_dir) / "replica-0.json")

    def ready(self) -> Worker:
        manifest = until(
            "ready or failed",
            lambda: (
                (m := self.manifest) and m.state in {WorkerState.READY, WorkerState.FAILED} and m
            ),
            START_S,
        )
        assert manifest.state is WorkerState.READY, manifest.reason
        return self

    def score(
        self, *documents: str, timeout_s: float = 60.0, patience_s: float | None = None
    ) -> requests.Response:
        """Ask for scores; the worker has `timeout_s`, and the caller waits for `patience_s`."""
        body = {"query": "what is it", "documents": documents, "timeout_s": timeout_s}
        waits_s = timeout_s + 10 if patience_s is None else patience_s
        return requests.post(f"{self.manifest.url}/score", json=body, timeout=waits_s)

    def progress(self) -> dict:
        return requests.get(f"{self.manifest.url}/progress", timeout=5).json()

    def core(self) -> int:
        """pid of vLLM's engine core: it sets its own name."""
        for pid in group_members(self.process.pid):
            with contextlib.suppress(OSError):
                if b"EngineCore" in Path(f"/proc/{pid}/cmdline").read_bytes():
                    return pid
        raise AssertionError("no engine core")

    def end(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(10)
        self.log.close()

    def gone(self, limit_s: float) -> None:
        until("nothing of its group is left", lambda: not members(self.process.pid), limit_s)


def members(pgid: int) -> set[int]:
    """Living members of a process group; one that only waits for its parent does not count."""
    alive = set()
    for pid in group_members(pgid):
        with contextlib.suppress(OSError):
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
                alive.add(pid)
    return alive


@contextlib.contextmanager
def started(*arguments, **engine):
    worker = Worker(*arguments, **engine)
    try:
        yield worker
    finally:
        worker.end()


DOCUMENTS = [f"document number {n} " + "with many words " * 60 for n in range(200)]


def begun(progress):
    return progress["in_flight"] + progress["completed"]


def test_a_drain_delivers_what_is_in_flight_and_leaves_nothing(tmp_path, tiny_model):
    with started(tmp_path, tiny_model) as worker, ThreadPoolExecutor(4) as clients:
        worker.ready()
        answers = [clients.submit(worker.score, *DOCUMENTS) for _ in range(4)]
        until("all have begun", lambda: begun(worker.progress()) >= 4 * len(DOCUMENTS))

        worker.process.send_signal(signal.SIGTERM)

        assert [len(answer.result().json()["scores"]) for answer in answers] == [200] * 4
        assert worker.process.wait(30) == 0
        worker.gone(5)
        assert worker.manifest is None


def test_a_dead_core_ends_the_worker_with_its_cause(tmp_path, tiny_model):
    with started(tmp_path, tiny_model) as worker:
        worker.ready()
        os.kill(worker.core(), signal.SIGKILL)
        began = time.monotonic()

        assert worker.process.wait(20) == 70
        assert time.monotonic() - began < 10
        assert "engine died" in worker.manifest.reason
        worker.gone(5)


def test_a_killed_worker_leaves_no_process(tmp_path, tiny_model):
    with started(tmp_path, tiny_model) as worker:
        worker.ready()

        worker.process.kill()

        worker.process.wait(10)
        worker.gone(5)


def test_a_hung_core_stops_the_steps_and_goes_on_where_it_was(tmp_path, tiny_model):
    with started(tmp_path, tiny_model) as worker, ThreadPoolExecutor(1) as client:
        worker.ready()
        assert worker.score("one").ok
        core = worker.core()
        os.kill(core, signal.SIGSTOP)
        answer = client.submit(worker.score, "two")
        until("the job is in flight", lambda: worker.progress()["in_flight"] == 1)
        before = worker.progress()["steps"]
        time.sleep(1.0)  # the time in which a core that runs would have done it
        hung = worker.progress()

        os.kill(core, signal.SIGCONT)

        assert hung["steps"] == before
        assert hung["in_flight"] == 1
        assert hung["oldest_in_flight_s"] >= 1.0
        assert answer.result().ok
        assert worker.progress()["steps"] > before


def test_work_that_nobody_waits_for_is_aborted_in_the_engine(tmp_path, tiny_model):
    """Because its time is over, or because the caller hung up."""
    with started(tmp_path, tiny_model) as worker:
        worker.ready()
        many = [f"{n} " + "many words and more of them " * 200 for n in range(400)]

        assert worker.score(*many, timeout_s=0.3).status_code == 504
        rests(worker)
        with pytest.raises(requests.Timeout):
            worker.score(*many, patience_s=0.3)
        rests(worker)


def rests(worker: Worker) -> None:
    """It answers others at once, and has nothing more to do."""
    began = time.monotonic()
    assert worker.score("short").ok
    assert time.monotonic() - began < 5.0  # 400 such documents take several times as long
    steps = worker.progress()["steps"]
    time.sleep(1.0)  # an engine that went on with them would take steps
    assert worker.progress()["steps"] - steps <= 1
    assert worker.progress()["in_flight"] == 0


@pytest.mark.parametrize(
    ("spoil", "engine", "words"),
    [
        pytest.param("weights", {}, "damaged", id="damaged weights"),
        pytest.param(
            "", {"vllm": {"kv_cache_memory_bytes": 1 << 18}}, "max_model_len", id="no memory"
        ),
        pytest.param("", {"vllm": {"enforce_egaer": True}}, "enforce_eager?", id="misspelt"),
        pytest.param("", {"vllm": {"block_size": "many"}}, "block_size", id="bad value"),
        pytest.param("nan", {}, "NaN", id="weights that are no numbers"),
        pytest.param("tokenizer", {}, "token ids", id="foreign tokenizer"),
    ],
)
def test_a_failed_start_ends_with_its_cause(tmp_path, tiny_model, spoil, engine, words):
    model = shutil.copytree(tiny_model, tmp_path / "tiny-qwen3-reranker")
    SPOILERS[spoil](model)

    with started(tmp_path / "worker", model, **engine) as worker:
        assert worker.process.wait(START_S) == 78
        manifest = worker.manifest

    assert manifest.state is WorkerState.FAILED
    assert manifest.exit_code == 78
    assert words in manifest.reason
    assert "\n" not in manifest.reason


def _damage(model: Path) -> None:
    weights = model / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100_000])


def _nan(model: Path) -> None:
    import torch
    from safetensors.torch import load_file, save_file

    path = model / "model.safetensors"
    tensors = load_file(path)
    tensors["model.norm.weight"] = torch.full_like(tensors["model.norm.weight"], float("nan"))
    save_file(tensors, path, metadata={"format": "pt"})


def _foreign_tokenizer(model: Path) -> None:
    path = model / "tokenizer.json"
    body = path.read_text(encoding="utf-8")
    path.write_text(body.replace('"NFC"', '"Lowercase"'), encoding="utf-8")


SPOILERS = {
    "": lambda model: None,
    "weights": _damage,
    "nan": _nan,
    "tokenizer": _foreign_tokenizer,
}
