"""The body's way in, over raw sockets: size, time, and clients that leave."""

from __future__ import annotations

import asyncio
import json

import pytest

JSON = {"content-type": "application/json"}


@pytest.fixture
async def gateway(start, worker):
    one = await start(max_body_bytes=10_000, body_timeout_s=0.3)
    await one.until_ready()
    return one


async def test_a_declared_size_over_the_limit_is_refused_unread(gateway):
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.write(
        b"POST /v1/rerank HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
        b"expect: 100-continue\r\ncontent-length: 99999999999\r\n\r\n"
    )
    head = await reader.readuntil(b"\r\n")
    assert head.startswith(b"HTTP/1.1 413")
    writer.close()


async def test_a_client_that_sends_it_all_still_reads_why(gateway):
    reply = await gateway.post(data=b"x" * 50_000, headers=JSON)
    assert (reply.status, reply.error["code"]) == (413, "body_too_large")


HEAD = b"POST /v1/rerank HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
CHUNK = b"1000\r\n" + b"x" * 4096 + b"\r\n"


async def test_a_chunked_body_over_the_limit_is_refused(gateway):
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.write(HEAD + b"transfer-encoding: chunked\r\n\r\n" + CHUNK * 4 + b"0\r\n\r\n")
    answer = await asyncio.wait_for(reader.read(), 2.0)
    assert answer.startswith(b"HTTP/1.1 413")
    writer.close()


async def test_a_chunked_body_without_end_is_cut_off(gateway):
    _, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.write(HEAD + b"transfer-encoding: chunked\r\n\r\n")

    async def send_on() -> None:
        while True:
            writer.write(CHUNK)
            await writer.drain()

    with pytest.raises(ConnectionError):
        await asyncio.wait_for(send_on(), 5.0)
    writer.transport.abort()


async def test_a_body_that_trickles_in_is_given_up(gateway):
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.write(
        b"POST /v1/rerank HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
        b'content-length: 1000\r\n\r\n{"query'
    )
    answer = await asyncio.wait_for(reader.read(), 2.0)
    assert answer.startswith(b"HTTP/1.1 408")
    assert b"body_timeout" in answer
    writer.close()


async def test_a_client_that_leaves_half_way_changes_nothing(gateway, worker):
    _, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.write(
        b"POST /v1/rerank HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
        b'content-length: 1000\r\n\r\n{"query'
    )
    await writer.drain()
    await asyncio.sleep(0.05)
    writer.transport.abort()
    assert (await gateway.post({"query": "q", "documents": ["a"]})).status == 200
    assert len(worker.jobs) == 1
    assert gateway.metric("rankguard_requests_in_flight") == 0


async def test_all_bodies_together_are_bounded(start, worker):
    gateway = await start(max_buffered_bytes=20_000, max_body_bytes=15_000, body_timeout_s=5)
    await gateway.until_ready()
    _, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.write(
        b"POST /v1/rerank HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
        b"content-length: 14000\r\n\r\n" + b" " * 13_000
    )
    await writer.drain()
    await asyncio.sleep(0.05)
    big = {"query": "q", "documents": ["x" * 9_000]}
    reply = await gateway.post(big)
    assert (reply.status, reply.error["code"]) == (429, "over_limit")
    assert reply.headers["retry-after"] == "1"
    writer.transport.abort()
    await asyncio.sleep(0.05)
    assert (await gateway.post(big)).status == 200


async def test_a_head_that_trickles_in_is_given_up(gateway):
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.write(b"POST /v1/rerank HTTP/1.1\r\nhost: x\r\nx-slow:")
    assert await asyncio.wait_for(reader.read(), 2.0) == b""
    writer.close()


async def test_a_connection_that_says_nothing_is_closed(gateway):
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    assert await asyncio.wait_for(reader.read(), 2.0) == b""
    writer.close()


async def test_a_connection_between_requests_is_kept(gateway):
    async with gateway.client.get(gateway.url + "/livez"):
        pass
    await asyncio.sleep(0.4)
    connector = gateway.client.connector
    assert sum(len(idle) for idle in connector._conns.values()) == 1
    assert (await gateway.get("/livez")).status == 200


async def test_requests_that_are_open_are_bounded(start, worker):
    gateway = await start(max_requests=1, body_timeout_s=5)
    await gateway.until_ready()
    _, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.write(
        b"POST /v1/rerank HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
        b"content-length: 14000\r\n\r\n {"
    )
    await writer.drain()
    await asyncio.sleep(0.05)
    reply = await gateway.post({"query": "q", "documents": ["a"]})
    assert (reply.status, reply.error["code"]) == (429, "over_limit")
    writer.transport.abort()


@pytest.mark.parametrize("sent", [b"hello\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01"])
async def test_what_is_no_http_gets_our_error_shape(gateway, sent):
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.write(sent)
    head, body = (await asyncio.wait_for(reader.read(), 2.0)).split(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400")
    assert json.loads(body)["error"]["code"] == "malformed"
    writer.close()
