"""The client against a real socket that answers as told."""

from __future__ import annotations

import socket

import pytest

from deploy.ui.complaint import Cause, Refused
from deploy.ui.gateway import BadKeyFile, Gateway, Served, read_key
from tests.deploy.ui.conftest import FINDINGS
from tests.waiting import free_port


def ask(service, key_file=None, instruction=""):
    return Gateway(service.url, key_file, 5.0).rerank("q", ["a", "b"], instruction)


def test_it_asks_as_any_client_does_and_reads_order_tokens_and_timing(service):
    service.headers = {"Server-Timing": 'queue;dur=1.00, score;dur=2.00, replicas;desc="replica-0"'}

    answer = ask(service, instruction="@faq")

    path, headers, body = service.got[0]
    assert path == "/v1/rerank"
    assert "Authorization" not in headers
    assert body == {
        "query": "q",
        "documents": ["a", "b"],
        "return_documents": False,
        "instruction": "@faq",
    }
    assert [row.text for row in answer.rows] == ["b", "a"]
    assert (answer.tokens, answer.timing.score_ms, answer.timing.replicas) == (5, 2.0, 1)


def test_without_an_instruction_none_is_sent(service):
    ask(service)

    assert "instruction" not in service.got[0][2]


def test_the_key_is_read_from_its_file_each_time(service, tmp_path):
    file = tmp_path / "key"
    for key in ("first", "second"):
        file.write_text(f"{key}\n")
        ask(service, file)

    assert [headers["Authorization"] for _, headers, _ in service.got] == [
        "Bearer first",
        "Bearer second",
    ]


@pytest.mark.parametrize(
    ("status", "body", "headers", "wanted"),
    [
        pytest.param(
            422,
            {"error": {"message": "must be text", "param": "documents[3]"}},
            {},
            Refused(422, message="must be text", param="documents[3]"),
            id="a wrong value, with its field",
        ),
        pytest.param(
            429,
            {"error": {"message": "wait"}},
            {"Retry-After": "7"},
            Refused(429, message="wait", retry_after_s=7.0),
            id="over a limit, with when",
        ),
        pytest.param(
            503, b"<html>", {"Retry-After": "soon"}, Refused(503), id="a proxy's own page"
        ),
        pytest.param(401, {"detail": "no"}, {}, Refused(401), id="another shape of error"),
        pytest.param(302, b"", {"Location": "/x"}, Refused(302), id="a redirect is not followed"),
        pytest.param(200, b"hello", {}, Refused(0, Cause.STRANGE), id="not JSON"),
        pytest.param(200, [1], {}, Refused(0, Cause.STRANGE), id="not an answer"),
    ],
)
def test_what_went_wrong_comes_back_as_one_kind_of_error(service, status, body, headers, wanted):
    service.status, service.body, service.headers = status, body, headers

    with pytest.raises(Refused) as caught:
        ask(service)

    assert vars(caught.value) == vars(wanted)


def test_nobody_there_is_down():
    with pytest.raises(Refused) as caught:
        Gateway(f"http://127.0.0.1:{free_port()}", None, 5.0).rerank("q", ["a"], "")

    assert (caught.value.status, caught.value.cause) == (0, Cause.DOWN)


def test_no_answer_in_time_is_slow():
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        gateway = Gateway(f"http://127.0.0.1:{silent.getsockname()[1]}", None, -4.95)
        with pytest.raises(Refused) as caught:
            gateway.rerank("q", ["a"], "")

    assert (caught.value.status, caught.value.cause) == (0, Cause.SLOW)


def test_a_search_sends_what_is_looked_for_and_reads_passages(service):
    service.body = FINDINGS

    found = Gateway(service.url, None, 5.0).search("q", 3)

    path, _, body = service.got[0]
    assert (path, body) == ("/v1/search", {"query": "q", "top": 3})
    assert [row.text for row in found.rows] == ["words"]


@pytest.mark.parametrize(
    ("status", "wanted"),
    [
        pytest.param(404, False, id="no such path: not enabled"),
        pytest.param(405, True, id="for POST only: enabled"),
        pytest.param(401, None, id="nobody says"),
        pytest.param(200, None, id="something else"),
    ],
)
def test_it_knows_whether_the_service_searches(service, status, wanted):
    service.status, service.body = status, {}

    assert Gateway(service.url, None, 5.0).has_search() is wanted


@pytest.mark.parametrize(
    ("status", "body", "wanted"),
    [
        pytest.param(
            200,
            {"data": [{"id": "m", "engine": "vllm", "notice": ""}]},
            Served("m", "vllm"),
            id="a model and its engine",
        ),
        pytest.param(200, {"data": [{"id": "m"}]}, Served("m"), id="no replica yet"),
        pytest.param(200, {"data": []}, None, id="none"),
        pytest.param(401, {}, None, id="refused"),
        pytest.param(200, b"x", None, id="not JSON"),
    ],
)
def test_it_knows_what_answers(service, status, body, wanted):
    service.status, service.body = status, body

    assert Gateway(service.url, None, 5.0).served() == wanted


def test_only_the_embedded_engine_is_known_to_take_no_instruction():
    assert Served("m", "vllm").takes_instruction
    assert not Served("m", "embedded").takes_instruction


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("\n", id="empty"),
        pytest.param("eins zwei", id="two words"),
        pytest.param("eins\nzwei", id="two lines"),
        pytest.param("clé", id="not ASCII"),
    ],
)
def test_a_file_that_holds_no_key_is_refused_and_its_text_is_not_told(tmp_path, text):
    file = tmp_path / "file"
    file.write_text(text)

    with pytest.raises(BadKeyFile) as caught:
        read_key(file)

    assert str(caught.value) == f"{file} does not hold one API key"


def test_a_key_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(BadKeyFile, match=r"cannot read .*missing: No such file"):
        read_key(tmp_path / "missing")
