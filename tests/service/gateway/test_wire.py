"""The wire to workers, against servers that answer well, badly, late and not at all."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

import pytest

from service.gateway import wire
from service.gateway.routing import Failure
from service.gateway.transport import ReplicaFailed
from service.gateway.wire import HttpWire
from tests.waiting import free_port

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"


class Server:
    """Answers every request with the same bytes; counts connections and what it was sent."""

    def __init__(self, answer: bytes, *, then_close: bool = False) -> None:
        self.answer, self.then_close = answer, then_close
        self.requests: list[bytes] = []
        self.connections = self.closed = 0
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = int(head.split(b"content-length: ")[1].split(b"\r\n")[0])
                self.requests.append(head + await reader.readexactly(length))
                writer.write(self.answer)
                await writer.drain()
                if self.then_close:
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            self.closed += 1
            writer.close()


@contextlib.asynccontextmanager
async def answering(answer: bytes = OK, **more: bool) -> AsyncIterator[tuple[Server, HttpWire]]:
    server, made = Server(answer, **more), HttpWire()
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server, made
    finally:
        await made.close()
        listening.close()


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(500):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not come to that")


async def test_requests_one_after_the_other_share_a_connection():
    async with answering() as (server, made):
        answers = [await made.post(server.url, "/score", b'{"a": 1}', 5.0) for _ in range(3)]

    assert answers == [(200, b"{}")] * 3
    assert server.connections == 1
    assert server.requests[0].startswith(b"POST /score HTTP/1.1\r\nhost: 127.0.0.1:")
    assert server.requests[0].endswith(b'content-length: 8\r\n\r\n{"a": 1}')


async def test_requests_at_once_have_connections_of_their_own():
    async with answering() as (server, made):
        works = [made.post(server.url, "/score", str(n).encode(), 5.0) for n in range(4)]
        assert await asyncio.gather(*works) == [(200, b"{}")] * 4

    assert server.connections == 4


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        pytest.param(b"HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n", (503, b""), id="no body"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n1\r\n\n\r\n0\r\n\r\n",
            (200, b"{}\n"),
            id="in parts",
        ),
        pytest.param(b"HTTP/1.1 100 Continue\r\n\r\n" + OK, (200, b"{}"), id="go on, first"),
    ],
)
async def test_every_form_of_answer_is_read(answer, found):
    async with answering(answer) as (server, made):
        assert await made.post(server.url, "/score", b"x", 5.0) == found


async def test_a_connection_that_its_server_will_close_is_not_used_again():
    last = OK.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n", 1)
    async with answering(last) as (server, made):
        for _ in range(2):
            assert await made.post(server.url, "/score", b"x", 5.0) == (200, b"{}")

    assert server.connections == 2


async def test_a_connection_that_was_idle_for_long_is_not_used_again(monkeypatch):
    monkeypatch.setattr(wire, "IDLE_S", 0.0)
    async with answering() as (server, made):
        for _ in range(2):
            await made.post(server.url, "/score", b"x", 5.0)
            await asyncio.sleep(0.01)
        await until(lambda: server.closed == 1)

    assert server.connections == 2


async def test_a_connection_that_was_closed_while_idle_is_not_used_again():
    async with answering(then_close=True) as (server, made):
        for number in range(3):
            assert await made.post(server.url, "/score", b"x", 5.0) == (200, b"{}")
            await until(lambda number=number: server.closed == number + 1)
            await asyncio.sleep(0.02)

    assert server.connections == 3


@pytest.mark.parametrize(
    ("answer", "failure"),
    [
        pytest.param(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{", Failure.LOST, id="half"),
        pytest.param(b"", Failure.LOST, id="nothing"),
        pytest.param(b"SSH-2.0-OpenSSH\r\n\r\n", Failure.LOST, id="another protocol"),
    ],
)
async def test_a_broken_answer_is_a_lost_one(answer, failure):
    async with answering(answer, then_close=True) as (server, made):
        with pytest.raises(ReplicaFailed) as found:
            await made.post(server.url, "/score", b"x", 5.0)

    assert found.value.failure is failure


async def test_the_rest_of_an_answer_nobody_asked_for_answers_no_other_request():
    """Scores of one request must never be given to another."""
    half = OK + b'HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\n{"wrong'[:-3]
    async with answering(half) as (server, made):
        assert await made.post(server.url, "/score", b"x", 5.0) == (200, b"{}")
        server.answer = b"ong" + OK
        # on a new connection, where this is no answer
        with pytest.raises(ReplicaFailed, match="no HTTP"):
            await made.post(server.url, "/score", b"y", 5.0)

    assert server.connections == 2


async def test_an_answer_without_end_is_given_up(monkeypatch):
    monkeypatch.setattr(wire, "MAX_ANSWER_BYTES", 100)
    endless = b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n" + b"x" * 200
    async with answering(endless) as (server, made):
        with pytest.raises(ReplicaFailed, match="has no end"):
            await made.post(server.url, "/score", b"x", 5.0)


async def test_an_answer_that_does_not_come_is_a_timeout_and_ends_the_connection(monkeypatch):
    monkeypatch.setattr(wire, "SLACK_S", 0.0)
    async with answering(b"") as (server, made):
        with pytest.raises(ReplicaFailed) as found:
            await made.post(server.url, "/score", b"x", 0.05)
        await until(lambda: server.closed == 1)

    assert found.value.failure is Failure.TIMEOUT


async def test_a_caller_that_goes_away_ends_the_connection():
    async with answering(b"") as (server, made):
        asking = asyncio.ensure_future(made.post(server.url, "/score", b"x", 5.0))
        await until(lambda: len(server.requests) == 1)

        asking.cancel()

        await until(lambda: server.closed == 1)


async def test_nobody_there_is_told_from_slow():
    made = HttpWire()
    with pytest.raises(ReplicaFailed) as found:
        await made.post(f"http://127.0.0.1:{free_port()}", "/score", b"x", 1.0)

    assert found.value.failure is Failure.UNREACHABLE
    assert await made.refuses(f"http://127.0.0.1:{free_port()}")


async def test_slow_is_not_refusing(monkeypatch):
    monkeypatch.setattr(wire, "CONNECT_S", 0.1)
    async with answering(b"") as (server, made):
        assert not await made.refuses(server.url)


async def test_nothing_is_kept_of_workers_that_are_gone():
    async with answering() as (server, made):
        await made.post(server.url, "/score", b"x", 5.0)
        await made.close()
        await until(lambda: server.closed == 1)
        await asyncio.sleep(0.02)

    assert (made._idle, made._open) == ({}, set())
