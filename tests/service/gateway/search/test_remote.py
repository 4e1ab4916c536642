"""The HTTP client of a search's models: what it sends, what it believes, when it tries again."""

from __future__ import annotations

import base64
import socket
from collections import deque

import pytest

from service.embedding import InputType, pack
from service.gateway.search.remote import TRIES, HttpModels, Unanswered
from tests.json_server import Asked, JsonServer, Said


class Server(JsonServer):
    """Answers what is in line, the last of it for ever; keeps what it was sent."""

    def __init__(self) -> None:
        self.answers: deque[Said] = deque()
        self.requests: list[tuple[str, dict, dict]] = []
        super().__init__()

    def answer(self, asked: Asked) -> Said:
        self.requests.append((asked.path, asked.body, asked.headers))
        said = self.answers[0]
        if len(self.answers) > 1:
            self.answers.popleft()
        return said

    def say(self, status: int, answer: object, **headers: str) -> None:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.answers.append(Said(status, answer, named))


@pytest.fixture
def server():
    with Server() as one:
        yield one


def embeddings(*vectors: object, **more: object) -> dict:
    return {"model": "m", "data": [{"embedding": vector} for vector in vectors], **more}


def test_vectors_in_base64_and_as_numbers(server):
    packed = base64.b64encode(pack([0.5, -1.0])).decode()
    server.say(200, embeddings(packed, [0.5, -1.0], fingerprint="f"))

    found = HttpModels(server.url).embed(["a", "b"], InputType.QUERY)

    assert [vector.values() for vector in found.vectors] == [[0.5, -1.0]] * 2
    assert (found.space, found.model) == ("f", "m")
    path, body, _ = server.requests[0]
    assert path == "/v1/embeddings"
    assert body == {"input": ["a", "b"], "encoding_format": "base64", "input_type": "query"}


def test_a_server_without_fingerprints_is_known_by_its_model(server):
    server.say(200, embeddings([1.0]))
    assert HttpModels(server.url).embed(["a"], InputType.QUERY).space == "m"


def test_a_base_url_with_v1_is_the_same(server):
    server.say(200, embeddings([1.0]))
    HttpModels(server.url + "/v1/").embed(["a"], InputType.QUERY)
    assert server.requests[0][0] == "/v1/embeddings"


def test_key_and_model_are_sent(server):
    server.say(200, embeddings([1.0]))
    HttpModels(server.url, key="k", model="big").embed(["a"], InputType.DOCUMENT)
    _, body, headers = server.requests[0]
    assert headers["Authorization"] == "Bearer k"
    assert body["model"] == "big"


def test_scores_come_in_the_order_of_the_server(server):
    results = [{"index": 1, "relevance_score": 1.0}, {"index": 0, "relevance_score": 1.0}]
    server.say(200, {"model": "r", "results": results})

    judged = HttpModels(server.url).rerank("q", ["a", "b"], "task")

    assert judged.ranked == ((1, 1.0), (0, 1.0))
    assert server.requests[0][1]["instruction"] == "task"


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"<html>", id="no JSON"),
        pytest.param([], id="a list"),
        pytest.param({}, id="nothing"),
        pytest.param(embeddings([1.0]), id="too few"),
        pytest.param(embeddings([1.0], None), id="null"),
        pytest.param(embeddings([1.0], "*"), id="no base64"),
        pytest.param(embeddings([1.0], []), id="an empty vector"),
        pytest.param(embeddings([1.0], ["x"]), id="a word"),
    ],
)
def test_what_is_no_embedding_is_not_believed(server, answer):
    server.say(200, answer)
    with pytest.raises(Unanswered):
        HttpModels(server.url).embed(["a", "b"], InputType.QUERY)


@pytest.mark.parametrize(
    "results",
    [
        pytest.param([{"index": 0, "relevance_score": 1}], id="one is missing"),
        pytest.param([{"index": 0, "relevance_score": 1}] * 2, id="one is twice"),
        pytest.param([{"index": 0}, {"index": 1}], id="no score"),
        pytest.param(None, id="nothing"),
    ],
)
def test_what_are_no_scores_is_not_believed(server, results):
    server.say(200, {"model": "r", "results": results})
    with pytest.raises(Unanswered):
        HttpModels(server.url).rerank("q", ["a", "b"])


def test_a_busy_server_is_asked_again_when_it_said(server):
    server.say(429, {"error": {"message": "later"}}, Retry_After="7")
    server.say(503, {"error": {"message": "later"}})
    server.say(200, embeddings([1.0]))
    pauses: list[float] = []

    HttpModels(server.url, sleep=pauses.append).embed(["a"], InputType.QUERY)

    assert pauses == [7.0, 1.0]


def test_it_gives_up_in_the_end_with_the_servers_words(server):
    server.say(503, {"error": {"message": "no replica has started"}})
    pauses: list[float] = []
    with pytest.raises(Unanswered, match="503: no replica has started"):
        HttpModels(server.url, sleep=pauses.append).embed(["a"], InputType.QUERY)
    assert len(server.requests) == TRIES


def test_a_refusal_is_not_repeated(server):
    server.say(422, {"error": {"message": "the model x makes no embeddings", "param": "model"}})
    with pytest.raises(Unanswered, match="422: the model x makes no embeddings"):
        HttpModels(server.url).embed(["a"], InputType.QUERY)
    assert len(server.requests) == 1


def test_a_redirect_does_not_carry_the_key_away(server):
    server.say(307, {}, Location="http://127.0.0.1:1/v1/embeddings")
    with pytest.raises(Unanswered, match="307"):
        HttpModels(server.url, key="k").embed(["a"], InputType.QUERY)


class Restarting(Server):
    """Hangs up as often as it is told, as a process that is killed does."""

    gone = 0

    def answer(self, asked: Asked) -> Said:
        if self.gone:
            self.gone -= 1
            raise ConnectionAbortedError
        return super().answer(asked)


def test_a_server_that_is_restarted_amid_the_work_is_waited_for():
    waited: list[float] = []
    with Restarting() as server:
        server.say(200, embeddings([1.0]))
        models = HttpModels(server.url, sleep=waited.append)
        models.embed(["a"], InputType.QUERY)
        server.gone = 2

        found = models.embed(["b"], InputType.QUERY)

    assert found.vectors[0].values() == [1.0]
    assert waited == [2.0, 4.0]


def test_a_server_that_does_not_come_back_is_given_up():
    waited: list[float] = []
    with Server() as server:
        server.say(200, embeddings([1.0]))
        models = HttpModels(server.url, sleep=waited.append)
        models.embed(["a"], InputType.QUERY)

    with pytest.raises(Unanswered, match="nothing answers"):
        models.embed(["b"], InputType.QUERY)
    assert waited == [2.0, 4.0, 8.0, 16.0, 30.0]


def test_nobody_there_is_a_sentence():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(Unanswered, match="nothing answers at"):
        HttpModels(url).embed(["a"], InputType.QUERY)


def test_a_server_that_hangs_is_given_up():
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(Unanswered, match="in time"):
            HttpModels(url, timeout_s=0.1).embed(["a"], InputType.QUERY)
