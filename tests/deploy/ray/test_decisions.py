from __future__ import annotations

import fcntl
import os

import pytest

from deploy.config import Config
from deploy.ray import plan
from deploy.ray.card import card_of
from deploy.ray.checkup import Checkup, Finding, Pace, conclude
from deploy.ray.settings import on_this_host, to_args
from deploy.ray.slot import NoSlot, claim
from monitor.health import HealthLimits
from monitor.model import CanaryOutcome, CanaryResult, Reason


def config(**sections):
    return Config.model_validate(sections)


@pytest.mark.parametrize(
    ("sections", "low", "high"),
    [
        pytest.param({}, 1, 1, id="one replica, as on one host"),
        pytest.param({"monitor": {"replicas": 4}}, 4, 4, id="so many, no scaling"),
        pytest.param({"monitor": {"max_replicas": 8}}, 1, 8, id="scaling from one"),
        pytest.param({"monitor": {"min_replicas": 2, "max_replicas": 8}}, 2, 8, id="bounds"),
    ],
)
def test_the_bounds_are_those_of_a_single_host(sections, low, high):
    found = plan.engine_plan(config(**sections))

    assert (found.low, found.high) == (low, high)
    assert plan.slots(config(**sections)) == high


@pytest.mark.parametrize(
    ("engine", "fleet", "cards"),
    [
        pytest.param({"kind": "embedded"}, {}, 0, id="the CPU engine needs none"),
        pytest.param({"kind": "vllm"}, {}, 1, id="one by default"),
        pytest.param(
            {"kind": "vllm", "vllm": {"tensor_parallel_size": 2, "pipeline_parallel_size": 2}},
            {},
            4,
            id="tensor times pipeline",
        ),
        pytest.param({"kind": "vllm"}, {"gpus_per_replica": 0.5}, 0.5, id="what was set"),
        pytest.param({"kind": "remote"}, {"gpus_per_replica": 0}, 0, id="none was set"),
    ],
)
def test_cards_of_a_replica(engine, fleet, cards):
    assert plan.gpus(config(engine=engine, fleet=fleet)) == cards


def test_a_proxy_waits_longer_than_the_gateway_and_a_check_longer_than_its_canaries():
    settings = config(service={"request_timeout_s": 60}, monitor={"canary_timeout_s": 3})

    assert plan.gateway_plan(settings).answer_s > 60
    assert plan.engine_plan(settings).check_timeout_s > 2 * 4 * 3


def test_only_what_was_set_travels_and_no_receiver_does():
    settings = config(
        service={"max_documents": 7},
        alerts={"receivers": [{"name": "a", "type": "webhook", "url": "https://example.com/x"}]},
    )

    assert to_args(settings) == {"service": {"max_documents": 7}}


def test_a_host_keeps_its_state_where_its_environment_says(tmp_path):
    args = {"service": {"max_documents": 7, "state_dir": "/var/lib/rankguard"}}

    here = on_this_host(args, {"RANKGUARD_SERVICE__STATE_DIR": str(tmp_path)})

    assert here.service.state_dir == tmp_path
    assert here.service.max_documents == 7
    assert str(on_this_host(args, {}).service.state_dir) == "/var/lib/rankguard"


MOVING = Pace(moved=True, cores=0.0, stalled_s=0.0)
STILL = Pace(moved=False, cores=0.0, stalled_s=5.0)


def canary(outcome, reason=Reason.HEALTHY, detail=""):
    return CanaryResult(1, outcome, 0.0, 1.0, reason, detail)


@pytest.mark.parametrize(
    ("result", "pace", "expected"),
    [
        pytest.param(
            canary(CanaryOutcome.PASSED),
            MOVING,
            Checkup(Finding.PASSED, Reason.HEALTHY),
            id="scored in order",
        ),
        pytest.param(
            canary(CanaryOutcome.TIMED_OUT, Reason.CANARY_ERROR, "late"),
            MOVING,
            Checkup(Finding.BUSY, Reason.CANARY_UNCONFIRMED, "late"),
            id="late behind users' work is busy",
        ),
        pytest.param(
            canary(CanaryOutcome.TIMED_OUT, Reason.CANARY_ERROR, "late"),
            STILL,
            Checkup(Finding.HUNG, Reason.NO_PROGRESS, "late"),
            id="late and nothing moves is hung",
        ),
        pytest.param(
            canary(CanaryOutcome.TIMED_OUT, Reason.CANARY_ERROR, "late"),
            Pace(moved=False, cores=1.0, stalled_s=30.0),
            Checkup(Finding.BUSY, Reason.CANARY_UNCONFIRMED, "late"),
            id="late while it computes, or waits for a CPU",
        ),
        pytest.param(
            canary(CanaryOutcome.TIMED_OUT, Reason.CANARY_ERROR, "late"),
            Pace(moved=False, cores=1.0, stalled_s=121.0),
            Checkup(Finding.HUNG, Reason.NO_PROGRESS, "late"),
            id="computing for two minutes without a step is hung all the same",
        ),
        pytest.param(
            canary(CanaryOutcome.REFUSED, Reason.CANARY_ERROR, "draining"),
            STILL,
            Checkup(Finding.BUSY, Reason.CANARY_UNCONFIRMED, "draining"),
            id="a replica that drains is no worse for it",
        ),
        pytest.param(
            canary(CanaryOutcome.WRONG, Reason.CANARY_ORDER, "zh-en"),
            MOVING,
            Checkup(Finding.WRONG, Reason.CANARY_ORDER, "zh-en"),
            id="wrong order",
        ),
        pytest.param(
            canary(CanaryOutcome.ERROR, Reason.CANARY_ERROR, "500"),
            MOVING,
            Checkup(Finding.WRONG, Reason.CANARY_ERROR, "500"),
            id="an engine that fails",
        ),
    ],
)
def test_what_a_canary_says_of_a_replica(result, pace, expected):
    assert conclude(result, pace, HealthLimits()) == expected


def test_names_on_a_host_are_the_lowest_that_are_free(tmp_path):
    first, second = claim(tmp_path), claim(tmp_path)
    first.release()
    third = claim(tmp_path)

    assert [first.id, second.id, third.id] == ["replica-0", "replica-1", "replica-0"]
    second.release()
    third.release()


def test_a_name_is_held_against_other_processes_and_not_inherited(tmp_path):
    held = claim(tmp_path)

    other = os.open(tmp_path / "slots" / held.id, os.O_RDWR)
    with pytest.raises(BlockingIOError):
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    assert not os.get_inheritable(held.lock)
    os.close(other)
    held.release()


def test_a_state_directory_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / "file").touch()

    with pytest.raises(NoSlot, match="cannot be written"):
        claim(tmp_path / "file")


@pytest.fixture
def cards(tmp_path):
    """Two cards as the driver shows them under /proc."""
    for bus, uuid in (("0000:3b:00.0", "GPU-aaa"), ("0000:af:00.0", "GPU-bbb")):
        folder = tmp_path / bus
        folder.mkdir()
        (folder / "information").write_text(
            f"Model: \t\t NVIDIA A10\nGPU UUID: \t {uuid}\nBus Location: \t {bus}\n"
        )
    return tmp_path


@pytest.mark.parametrize(
    ("visible", "expected"),
    [
        pytest.param("1", "GPU-bbb", id="an index counts by PCI address"),
        pytest.param("0,1", "GPU-aaa", id="the first of several"),
        pytest.param("GPU-ccc", "GPU-ccc", id="a UUID is what it says"),
        pytest.param("", None, id="none"),
        pytest.param("NoDevFiles", None, id="a word of the driver's"),
        pytest.param("7", None, id="a card that is not there"),
    ],
)
def test_the_card_that_ray_gave(cards, visible, expected):
    assert card_of({"CUDA_VISIBLE_DEVICES": visible}, cards) == expected


def test_without_the_variable_no_card_is_known(cards):
    assert card_of({}, cards) is None
