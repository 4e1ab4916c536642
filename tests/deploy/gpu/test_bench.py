"""The benchmark's own arithmetic and wording; the engines themselves run in `make gpu-bench`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.bench.bare import sides
from deploy.bench.latency import Sample, summarize
from deploy.bench.versus import Run
from deploy.config import load
from deploy.gpu import loads, speed, weights, where
from deploy.gpu.ground import Ground, Machine, environment, flags, own_text
from deploy.gpu.part import Failed, Skip
from deploy.gpu.shape import Shape, from_config
from deploy.gpu.stack import Plan, config_text

tomllib = pytest.importorskip("tomllib" if sys.version_info >= (3, 11) else "tomli")
GIB = 2**30
TINY = Shape(layers=2, hidden=8, heads=2, kv_heads=1, head_dim=4, intermediate=16, vocabulary=32)


def test_the_shape_is_that_of_the_0_6_b_reranker():
    # of its model card: 0.6B, and 0.44B without the embedding table
    assert Shape().parameters == 595_776_512
    assert Shape().multiplied == 595_776_512 - 151_669 * 1024


def test_a_shape_is_read_back_from_its_config():
    assert from_config(TINY.config()) == TINY


def test_another_kind_of_model_has_no_count(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')

    assert loads.counted(tmp_path) is None


def test_random_weights_are_a_safetensors_file_of_exactly_that_shape(tmp_path):
    tokenizer = tmp_path / "tokenizer.json"
    tokenizer.write_text("{}")

    folder = weights.write(tmp_path / "model", TINY, tokenizer)

    raw = (folder / "model.safetensors").read_bytes()
    size = int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8 : 8 + size])
    assert header.pop("__metadata__") == {"format": "pt"}
    assert {name: tuple(one["shape"]) for name, one in header.items()} == TINY.tensors()
    assert max(one["data_offsets"][1] for one in header.values()) == len(raw) - 8 - size
    assert len(raw) - 8 - size == 2 * TINY.parameters
    begin, end = header["model.norm.weight"]["data_offsets"]
    assert raw[8 + size + begin : 8 + size + end] == b"\x80\x3f" * TINY.hidden  # ones in bfloat16


def test_a_folder_that_was_not_finished_is_written_again_and_a_whole_one_is_kept(tmp_path):
    tokenizer = tmp_path / "tokenizer.json"
    tokenizer.write_text("{}")
    folder = tmp_path / "model"
    weights.write(folder, TINY, tokenizer)
    (folder / "model.safetensors").write_bytes(b"kept")
    weights.write(folder, TINY, tokenizer)
    kept = (folder / "model.safetensors").read_bytes()
    (folder / "done").unlink()
    weights.write(folder, TINY, tokenizer)

    assert kept == b"kept"
    assert len((folder / "model.safetensors").read_bytes()) > 4


def test_random_weights_without_the_real_vocabulary_are_refused(tmp_path):
    with pytest.raises(Skip, match=r"make build/qwen3/tokenizer\.json"):
        weights.write(tmp_path / "model", TINY, tmp_path / "none.json")


def engine(*, on_cpu):
    return sides.Engine("/models/Qwen3-Reranker-0.6B", on_cpu, 9216)


def test_on_a_card_both_sides_get_the_same_share_of_it():
    machine = Machine("python", engine(on_cpu=False), Path("/x"), 80 * GIB)

    assert machine.arguments(0.4) == {"gpu_memory_utilization": 0.4}
    assert machine.sized(0.4).cache_bytes == 16 * GIB
    assert flags(machine.arguments(0.4)) == ["--gpu-memory-utilization", "0.4"]


def test_on_the_cpu_nothing_is_said_of_a_card_and_a_trial_compiles_nothing():
    machine = Machine("python", engine(on_cpu=True), Path("/x"), eager=True)

    assert machine.arguments(0.4) == {"enforce_eager": True}
    assert machine.sized(0.4) == machine.engine
    assert flags(machine.arguments(0.4)) == ["--enforce-eager"]


def test_our_configuration_takes_further_engine_arguments(tmp_path):
    text = own_text(
        engine(on_cpu=False), {"enable_prefix_caching": False}, port=1, state_dir=tmp_path
    )

    vllm = tomllib.loads(text)["engine"]["vllm"]
    assert vllm["enable_prefix_caching"] is False
    assert vllm["kv_cache_memory_bytes"] == GIB


@pytest.mark.parametrize("kind", ["scripted", "vllm"])
def test_the_stack_that_is_hurt_has_a_configuration_that_the_product_takes(tmp_path, kind):
    plan = Plan("python", kind, tmp_path, model="/m/x", gpus="none", vllm={"enforce_eager": True})
    file = tmp_path / "rankguard.toml"
    file.write_text(config_text(plan, port=8001, monitor_port=9401))

    config = load(file)

    assert config.engine.kind == kind
    assert config.engine.vllm == {"enforce_eager": True}
    assert config.service.state_dir == tmp_path / "state"
    assert (config.monitor.port, config.monitor.gpus) == (9401, "none")


def test_an_environment_is_put_back(monkeypatch):
    monkeypatch.setenv("VLLM_CACHE_ROOT", "before")
    monkeypatch.delenv("TRITON_CACHE_DIR", raising=False)
    import os

    with environment(VLLM_CACHE_ROOT="cold", TRITON_CACHE_DIR="cold"):
        assert os.environ["VLLM_CACHE_ROOT"] == "cold"

    assert os.environ["VLLM_CACHE_ROOT"] == "before"
    assert "TRITON_CACHE_DIR" not in os.environ


def a_run(seconds, error=""):
    sample = Sample(0.0, 0.0, seconds, documents=10, tokens=1000, error=error)
    return Run(summarize([sample]), cpu_ms_per_doc=2.0)


def test_a_row_is_the_middle_of_its_runs():
    row = loads.row("ours", (64, 10, 4), [a_run(1.0), a_run(2.0), a_run(4.0)])

    assert (row["docs_per_s"], row["p50_ms"], row["tokens_per_s"]) == (5.0, 2000.0, 500.0)
    assert (row["doc_tokens"], row["documents"], row["clients"]) == (64, 10, 4)
    assert (row["cpu_ms_per_doc"], row["requests"], row["failed"]) == (2.0, 3, 0)


def test_two_sides_of_a_load_are_two_rows_with_a_ratio_and_a_share_of_the_limit(tmp_path):
    facts = loads.Facts(flops_per_s=1e6, parameters=200, multiplied=100)
    bench = loads.Bench(
        Ground(Machine("python", engine(on_cpu=True), tmp_path)), loads.CPU, facts, print
    )
    by_name = {sides.OURS: (a_run(1.0), a_run(1.0)), sides.BARE: (a_run(2.0), a_run(4.0))}

    ours, bare = speed.rows_of(bench, (64, 10, 4), by_name)

    assert (ours["side"], bare["side"]) == (sides.OURS, sides.BARE)
    assert ours["ratio"] == 4.0  # of the two rounds, 2 and 4: the upper middle
    assert ours["share_of_limit"] == 2 * 100 * 1000 / 1e6
    assert "ratio" not in bare


def test_failed_requests_fail_the_part_and_keep_its_rows():
    row = loads.row("ours", (64, 10, 4), [a_run(1.0, error="500")])

    with pytest.raises(Failed, match="1 requests failed") as raised:
        loads.no_failures([row], {"a": 1})
    assert raised.value.rows == {"loads": [row]}


def test_the_hottest_functions_are_those_on_top_of_the_stack():
    raw = "main (a.py);read (b.py) 30\nmain (a.py);write (b.py) 10\nmain (a.py) 10\nnoise\n"

    assert where.hottest("worker", raw) == [
        {"process": "worker", "function": "read (b.py)", "share": 0.6},
        {"process": "worker", "function": "write (b.py)", "share": 0.2},
        {"process": "worker", "function": "main (a.py)", "share": 0.2},
    ]


@pytest.mark.parametrize(
    ("grid", "longest"),
    [(loads.CARD, 9216), (loads.CARD_QUICK, 9216), (loads.CPU, 2048), (loads.CPU_QUICK, 2048)],
)
def test_the_load_that_is_looked_at_once_is_one_of_the_grid_and_fits(grid, longest):
    tokens, documents, _ = grid.middle

    assert grid.documents[tokens] == documents
    assert max(grid.documents) + 512 < longest


@pytest.mark.e2e
@pytest.mark.parametrize("more", [[], ["--engine", "vllm-cpu"], ["--quick"]])
def test_a_dry_run_of_the_benchmark_says_what_it_would_start_and_kill(tmp_path, more):
    out = tmp_path / "bench.json"
    command = [sys.executable, "-m", "deploy.gpu", "bench", "--dry-run", "-o", str(out), *more]

    done = subprocess.run(command, capture_output=True, text=True, timeout=110, check=False)

    assert done.returncode == 0, done.stderr
    assert "SIGKILL" in done.stderr
    assert not out.exists()


@pytest.mark.e2e
def test_without_a_card_the_benchmark_says_so_and_starts_nothing(tmp_path):
    if Path("/proc/driver/nvidia").exists():
        pytest.skip("there is a card")
    command = [sys.executable, "-m", "deploy.gpu", "bench", "-o", str(tmp_path / "bench.json")]

    done = subprocess.run(command, capture_output=True, text=True, timeout=110, check=False)

    assert done.returncode == 2
    assert "no NVIDIA driver" in done.stderr
