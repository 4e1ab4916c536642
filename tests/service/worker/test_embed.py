"""`POST /embed` on a real worker process, and the value types that travel."""

from __future__ import annotations

import math

import pytest
import requests

from service.embedding import EmbedJob, InputType, Vector, pack
from service.errors import InvalidValue
from service.manifest import WorkerState
from tests.service.worker.running import worker


def embed(running, *texts: object, **more: object) -> requests.Response:
    url = running.wait_state(WorkerState.READY).url
    body = {"texts": list(texts), "timeout_s": 5.0, **more}
    return requests.post(f"{url}/embed", json=body, timeout=10)


@pytest.mark.e2e
def test_it_embeds_in_order_and_counts(tmp_path):
    with worker(tmp_path) as running:
        body = embed(running, "red fox", "blue whale", "red fox").json()
        progress = running.progress()

    first, second, third = map(Vector.from_json, body["vectors"])
    assert first == third
    assert first != second
    assert math.fsum(x * x for x in first.values()) == pytest.approx(1.0, abs=1e-6)
    assert body["space"] == "scripted-1"
    assert (progress["completed"], progress["in_flight"], progress["steps"]) == (3, 0, 3)


@pytest.mark.e2e
def test_it_names_the_text_that_is_wrong(tmp_path):
    with worker(tmp_path) as running:
        answer = embed(running, "a", 1)
    assert (answer.status_code, answer.json()["error"]["param"]) == (422, "texts[1]")


@pytest.mark.e2e
def test_a_job_past_its_time_is_given_up(tmp_path):
    with worker(tmp_path) as running:
        running.wait_state(WorkerState.READY)
        running.act(fault="hang")
        answer = embed(running, "a", timeout_s=0.2)
    assert answer.status_code == 504


def test_a_job_and_a_vector_survive_the_way():
    job = EmbedJob("id", ("a", "b"), 3.0, InputType.QUERY)
    vector = Vector(pack([0.25, -1.5]), 4, truncated=True)

    assert EmbedJob.from_json(job.to_json()) == job
    assert Vector.from_json(vector.to_json()) == vector
    assert (vector.dimension, vector.values()) == (2, [0.25, -1.5])


@pytest.mark.parametrize(
    ("body", "param"),
    [
        pytest.param([], "body", id="not an object"),
        pytest.param({"texts": []}, "texts", id="no texts"),
        pytest.param({"texts": ["a"], "timeout_s": 0}, "timeout_s", id="no time"),
        pytest.param({"texts": ["a"], "input_type": "x"}, "input_type", id="unknown type"),
    ],
)
def test_a_wrong_job_is_refused_by_its_field(body, param):
    with pytest.raises(InvalidValue) as refused:
        EmbedJob.from_json(body)
    assert refused.value.param == param
