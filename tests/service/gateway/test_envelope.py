from __future__ import annotations

import json
import logging
import re

import pytest

from service.gateway import envelope, logs

ASK = {"query": "a secret question", "documents": ["a secret document"]}


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        pytest.param("abc-123_X.y:z", "abc-123_X.y:z", id="a plain one is kept"),
        pytest.param("a b\tc\x7f\xff{}", "abc", id="odd characters are dropped"),
        pytest.param("x" * 500, "x" * 128, id="it is cut"),
    ],
)
def test_request_id(given, kept):
    assert envelope.request_id(given) == kept


@pytest.mark.parametrize("given", [None, "", "   ", "{}"])
def test_without_a_usable_one_a_request_id_is_made(given):
    made = {envelope.request_id(given) for _ in range(10)}
    assert len(made) == 10
    assert all(re.fullmatch("[0-9a-f]{32}", one) for one in made)


async def test_the_request_id_comes_back_on_answers_and_errors(gateway):
    headers = {"x-request-id": "mine-1"}
    answer = await gateway.post(ASK, headers=headers)
    assert (answer.headers["x-request-id"], answer.body["id"]) == ("mine-1", "mine-1")
    error = await gateway.post({}, headers=headers)
    assert error.headers["x-request-id"] == "mine-1"


async def test_an_answer_carries_limits_and_timings(gateway):
    reply = await gateway.post(ASK)
    assert int(reply.headers["x-ratelimit-limit"]) == 4_000_000
    assert 0 < int(reply.headers["x-ratelimit-remaining"]) <= 4_000_000
    assert reply.headers["x-ratelimit-reset"] == "0"
    assert re.fullmatch(
        r'queue;dur=[\d.]+, score;dur=2\.00, total;dur=[\d.]+, replicas;desc="replica-0"',
        reply.headers["server-timing"],
    )


async def test_the_log_line_has_the_figures_and_not_the_texts(gateway, caplog):
    with caplog.at_level(logging.INFO):
        await gateway.post(ASK, headers={"x-request-id": "mine-2"})
    (record,) = [one for one in caplog.records if one.name == "rankguard.access"]
    line = json.loads(logs.JsonLine().format(record))
    assert line["request_id"] == "mine-2"
    assert (line["status"], line["documents"], line["replicas"]) == (200, 1, ["replica-0"])
    assert "secret" not in caplog.text
    assert "secret" not in json.dumps(line)


async def test_texts_are_logged_only_when_asked_for(start, worker, caplog):
    gateway = await start(log_texts=True)
    await gateway.until_ready()
    with caplog.at_level(logging.INFO):
        await gateway.post({"query": "why", "documents": ["x" * 500]})
    (record,) = [one for one in caplog.records if one.name == "rankguard.access"]
    assert record.texts == [["why", "x" * 200]]


async def test_what_nobody_expected_is_a_plain_500_and_a_logged_trace(gateway, worker, caplog):
    def broken(*_):
        raise ZeroDivisionError("inside")

    gateway.app.router.add_route("/broken", broken)
    reply = await gateway.get("/broken")
    assert (reply.status, reply.error["code"]) == (500, "internal")
    assert "inside" not in reply.text
    assert "ZeroDivisionError" in caplog.text
    assert (await gateway.post(ASK)).status == 200
