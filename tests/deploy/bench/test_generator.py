import os
import subprocess
import sys
import time

import pytest

from deploy.bench import memory
from deploy.bench.generator import CHECK_EVERY, Maker, closed_loop, open_loop
from deploy.bench.latency import summarize
from deploy.bench.length import measure
from deploy.bench.text import Library, chars_per_token
from deploy.evaluate.endpoint import Client, parse_target
from service.manifest import Manifest, WorkerState, write_manifest
from service.process import boot_id, started_ticks
from tests.deploy.evaluate.server import Endpoint, serving

LIBRARY = Library(seed=1)


def small(**options):
    return Maker(LIBRARY, documents=2, chars=60, **options)


@pytest.mark.parametrize("chars", [16, 60, 500, 4000])
def test_documents_have_about_the_length_that_is_asked_for(chars):
    request = LIBRARY.request(1, documents=20, chars=chars)
    mean = sum(len(text) for text in request.documents) / 20
    assert chars * 0.8 <= mean <= chars


def test_requests_differ_from_one_another_and_repeat_with_the_seed():
    first, second = (LIBRARY.request(n, documents=3, chars=80) for n in (1, 2))
    assert first.query != second.query
    assert not set(first.documents) & set(second.documents)
    assert Library(seed=1).request(1, documents=3, chars=80) == first
    assert Library(seed=2).request(1, documents=3, chars=80) != first


def test_a_check_holds_the_article_that_answers_its_question():
    request = LIBRARY.check(7)
    assert request.right in range(4)
    assert len(set(request.documents)) == 4
    places = {LIBRARY.check(n).right for n in range(40)}
    assert places == {0, 1, 2, 3}


@pytest.mark.parametrize(
    ("short", "long", "found"),
    [
        pytest.param((400, 140), (1200, 340), 4.0, id="the prompt's own tokens cancel out"),
        pytest.param((400, 100), (1200, 100), None, id="counts that do not grow"),
        pytest.param((400, 100), (1200, 101), None, id="counts that hardly grow"),
        pytest.param((400, 400), (400, 500), None, id="the same text twice"),
    ],
)
def test_characters_per_token_come_from_two_sizes(short, long, found):
    assert chars_per_token(short, long) == found


async def test_without_token_counts_a_length_is_assumed_and_said_to_be():
    with serving(Endpoint()) as server:
        async with Client() as client:
            length = await measure(client, parse_target(f"tei+{server.url}"), LIBRARY)
    assert not length.measured
    assert 3 < length.chars_per_token < 6


async def test_closed_clients_wait_for_their_answers():
    with serving(Endpoint(delay_s=0.02)) as server:
        async with Client() as client:
            samples = await closed_loop(
                client, parse_target(server.url), small(), clients=2, seconds=0.1
            )
    assert 4 <= len(samples) <= 14
    assert all(not each.error for each in samples)


async def test_a_closed_loop_goes_on_until_it_has_enough_requests():
    with serving(Endpoint(delay_s=0.02)) as server:
        async with Client() as client:
            samples = await closed_loop(
                client, parse_target(server.url), small(), clients=1, seconds=0.01, at_least=4
            )
    assert len(samples) == 4


async def test_an_endpoint_that_falls_behind_shows_in_the_latency():
    """20 requests meant for one moment, one at a time: the last one waited for all the others."""
    with serving(Endpoint(serial_s=0.01)) as server:
        async with Client() as client:
            samples = await open_loop(client, parse_target(server.url), small(), [0.0] * 20)
    found = summarize(samples)
    assert found.p50_ms > 80
    assert found.max_ms > 180


async def test_what_is_unanswered_long_after_the_end_is_given_up_and_counts_as_failed():
    with serving(Endpoint(delay_s=20)) as server:
        async with Client() as client:
            target = parse_target(server.url)
            samples = await open_loop(client, target, small(), [0.0] * 3, grace_s=0.05)
    assert summarize(samples).failed == 3


async def test_every_twentieth_request_is_a_check_and_its_answer_is_judged():
    with serving(Endpoint()) as server:
        async with Client() as client:
            times = [0.0] * (2 * CHECK_EVERY)
            samples = await open_loop(client, parse_target(server.url), small(), times)
    assert summarize(samples).checks == 2


async def test_errors_are_samples_and_do_not_stop_the_run():
    with serving(Endpoint(refuse=[500, 429])) as server:
        async with Client() as client:
            samples = await open_loop(client, parse_target(server.url), small(), [0.0] * 5)
    assert summarize(samples).failed == 2
    assert any("429" in each.error for each in samples)


@pytest.fixture
def burning():
    """A process that has used CPU and holds 50 MB, with a child that holds 30 MB."""
    child = "x = bytearray(30 << 20); import time; time.sleep(60)"
    code = (
        f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {child!r}])\n"
        "x = bytearray(50 << 20); sum(range(3_000_000)); print('on', flush=True)\n"
        "import time; time.sleep(60)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, start_new_session=True
    )
    assert process.stdout.readline() == b"on\n"
    yield process.pid
    os.killpg(process.pid, 9)
    process.wait()
    process.stdout.close()


def test_memory_and_cpu_count_a_process_with_its_children(burning):
    deadline = time.monotonic() + 10
    while memory.usage([burning]).rss_mb < 80 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert 80 <= memory.usage([burning]).rss_mb < 300
    assert memory.cpu_s([burning]) > 0.01


def test_without_processes_memory_is_unknown():
    assert memory.usage([]) == memory.Usage(None, None)


def test_only_the_process_that_wrote_its_manifest_counts_as_a_replica(tmp_path, burning):
    def manifest(name, ticks):
        return Manifest(
            id=name, generation=1, pid=burning, started_ticks=ticks, boot_id=boot_id(),
            url="http://127.0.0.1:1", engine="embedded", model="m", state=WorkerState.READY,
        )  # fmt: skip

    write_manifest(tmp_path, manifest("replica-0", started_ticks(burning)))
    write_manifest(tmp_path, manifest("replica-1", 1))
    assert memory.replica_pids(tmp_path) == [burning]
