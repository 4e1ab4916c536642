"""HTTP that no client library of ours speaks, over raw sockets; bodies are in test_intake.py."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable

import psutil
import pytest

from service import serving

BODY = b'{"query": "q", "documents": ["a", "bb"]}'


@pytest.fixture
async def gateway(start, worker):
    one = await start(body_timeout_s=0.3)
    await one.until_ready()
    return one


def request(*headers: bytes, body: bytes = BODY, path: bytes = b"/v1/rerank") -> bytes:
    framing = b"content-length: %d" % len(body)
    lines = (b"host: x", b"content-type: application/json", framing, *headers)
    return b"POST " + path + b" HTTP/1.1\r\n" + b"\r\n".join(lines) + b"\r\n\r\n" + body


async def answers(reader: asyncio.StreamReader, count: int) -> list[tuple[int, dict]]:
    """Status and body of each answer that comes."""
    found = []
    for _ in range(count):
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 2.0)
        fields = dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:-2])
        body = await asyncio.wait_for(reader.readexactly(int(fields[b"content-length"])), 2.0)
        found.append((int(head.split()[1]), json.loads(body)))
    return found


async def until(condition: Callable[[], bool], limit_s: float = 5.0) -> None:
    async def hold() -> None:
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)

    await asyncio.wait_for(hold(), limit_s)


H2C = (b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAEAAEAAAA")
"""What Java's HttpClient sends by default, and curl with --http2."""


@pytest.mark.parametrize("parts", [1, 2, 3])
async def test_a_client_that_offers_http2_is_answered_in_http1(gateway, parts):
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    whole = request(*H2C)
    # at once; the head and then the body; and with a part of the body beside the head
    cuts = {1: [], 2: [len(whole) - len(BODY)], 3: [40, len(whole) - 7]}[parts]
    for begin, end in zip([0, *cuts], [*cuts, len(whole)], strict=True):
        writer.write(whole[begin:end])
        await writer.drain()
        await asyncio.sleep(0.02)
    writer.write(request() + request(*H2C))
    found = await answers(reader, 3)
    assert [status for status, _ in found] == [200, 200, 200]
    assert [len(body["results"]) for _, body in found] == [2, 2, 2]
    writer.close()


async def test_a_chunked_body_behind_an_offer_of_http2_is_read(gateway):
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    head = request(*H2C, body=b"").replace(b"content-length: 0", b"transfer-encoding: chunked")
    writer.write(head + b"%x\r\n" % len(BODY) + BODY + b"\r\n0\r\n\r\n")
    [(status, _)] = await answers(reader, 1)
    assert status == 200
    writer.close()


async def test_an_offer_without_a_body_is_answered_too(gateway):
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    head = b"GET /livez HTTP/1.1\r\nhost: x\r\n" + b"\r\n".join(H2C) + b"\r\n\r\n"
    writer.write(head * 600)
    assert [status for status, _ in await answers(reader, 600)] == [200] * 600
    writer.close()


async def test_pipelined_requests_are_answered_in_order(gateway):
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    ids = [b"a", b"b", b"c"]
    writer.write(b"".join(request(b"x-request-id: " + one) for one in ids))
    assert [body["id"] for _, body in await answers(reader, 3)] == ["a", "b", "c"]
    writer.close()


async def test_a_body_that_trickles_in_behind_its_answer_is_given_up(gateway):
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.write(request(body=b" " * 5_000, path=b"/nothing/here")[:-4_000])
    [(status, _)] = await answers(reader, 1)
    assert status == 404

    async def trickle() -> None:
        while True:
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.02)

    with pytest.raises(ConnectionError):
        await asyncio.wait_for(trickle(), 5.0)
    writer.close()


async def test_a_connection_whose_body_came_behind_its_answer_can_be_used_again(gateway):
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    whole = request(path=b"/nothing/here", body=b" " * 2**20)
    writer.write(whole[:500])
    [(status, _)] = await answers(reader, 1)
    writer.write(whole[500:] + request())
    [(again, _)] = await answers(reader, 1)
    assert (status, again) == (404, 200)
    writer.close()


async def test_a_head_without_end_is_not_held(start, worker):
    gateway = await start(body_timeout_s=60)
    _, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    before = psutil.Process().memory_info().rss

    async def send_on() -> None:
        writer.write(b"GET /livez HTTP/1.1\r\nhost: x\r\nx-long: ")
        while True:
            writer.write(b"a" * 65_536)
            await writer.drain()

    with pytest.raises(ConnectionError):
        await asyncio.wait_for(send_on(), 5.0)
    assert psutil.Process().memory_info().rss - before < 64 * 2**20
    writer.transport.abort()


async def test_a_client_that_does_not_read_its_answer_is_given_up(gateway):
    # what the gateway has set is half a minute; accepted sockets take it from the listener
    set_s = gateway.listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) / 1000
    assert set_s == serving.UNREAD_S
    gateway.listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 200)
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", gateway.port))
        client.setblocking(False)
        loop = asyncio.get_running_loop()
        body = json.dumps({"query": "q", "documents": ["x" * 8_000_000]}).encode()
        await loop.sock_sendall(client, request(body=body))
        own = client.getsockname()

        def held() -> bool:
            found = psutil.Process().net_connections("tcp")
            return any(one.raddr == own for one in found)

        assert held()
        await until(lambda: not held(), 10.0)
