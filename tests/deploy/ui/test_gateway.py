"""The client against a real socket that answers as told."""

from __future__ import annotations

import http.server
import json
import socket
import threading
from dataclasses import dataclass, field

import pytest

from deploy.ui.complaint import Cause, Refused
from deploy.ui.gateway import BadKeyFile, Gateway, Served, read_key
from tests.waiting import free_port

RANKED = {
    "model": "m",
    "results": [{"index": 1, "relevance_score": 0.9}, {"index": 0, "relevance_score": 0.1}],
    "usage": {"total_tokens": 5},
}


@dataclass
class Service:
    """What it answers next, and what it got."""

    url: str = ""
    status: int = 200
    body: object = field(default_factory=lambda: RANKED)
    headers: dict = field(default_factory=dict)
    got: list = field(default_factory=list)


@pytest.fixture
def service():
    told = Service()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            told.got.append((self.path, dict(self.headers), json.loads(raw) if raw else None))
            answer = told.body if isinstance(told.body, bytes) else json.dumps(told.body).encode()
            self.send_response(told.status)
            for name, value in told.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def do_GET(self):
            self.do_POST()

        def log_message(self, *_arguments):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        told.url = f"http://127.0.0.1:{listening.server_port}"
        yield told
        listening.shutdown()


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
