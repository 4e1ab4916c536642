from __future__ import annotations

import json
import logging
import os
import threading

import pytest

from service.gateway.logs import BehindHandler, JsonLine


@pytest.fixture
def pipe():
    """A pipe that nobody reads until the test does."""
    read, write = os.pipe()
    with os.fdopen(read) as reader, os.fdopen(write, "w") as writer:
        yield reader, writer


@pytest.fixture
def handler(pipe):
    one = BehindHandler(pipe[1], lines=100)
    one.setFormatter(JsonLine())
    yield one
    one.close()


def record(message: str, **extra: object) -> logging.LogRecord:
    return logging.makeLogRecord({"name": "x", "levelname": "INFO", "msg": message, **extra})


def test_a_line_is_one_json_object_with_its_fields(pipe, handler):
    handler.handle(record("request", status=200, path="/a\nb"))
    line = json.loads(pipe[0].readline())
    assert (line["level"], line["message"]) == ("info", "request")
    assert (line["status"], line["path"]) == (200, "/a\nb")


def test_a_stderr_that_stands_still_does_not_hold_the_caller_and_loss_is_told(pipe, handler):
    done = threading.Event()

    def talk() -> None:
        for _ in range(500):
            handler.handle(record("x" * 2000))
        done.set()

    threading.Thread(target=talk, daemon=True).start()
    assert done.wait(2.0)
    lines = []
    while not lines or lines[-1]["message"] != "log lines lost":
        lines.append(json.loads(pipe[0].readline()))
    assert lines[-1]["lines"] > 0


def test_the_last_lines_are_written_at_the_end(pipe, handler):
    for number in range(50):
        handler.handle(record(str(number)))
    handler.close()
    assert [json.loads(pipe[0].readline())["message"] for _ in range(50)] == [
        str(number) for number in range(50)
    ]
