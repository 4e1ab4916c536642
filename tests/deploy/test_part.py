from __future__ import annotations

import signal
import sys

import pytest

from deploy.part import Part
from deploy.pulse import ASK_EVERY_S, MISSES, Pulse, asking
from tests.waiting import free_port, until

SERVER = """
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
    def log_message(self, *_): pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


@pytest.fixture
def part():
    port = free_port()
    pulse = Pulse(asking(f"http://127.0.0.1:{port}", limit_s=0.1))
    part = Part("gateway", [sys.executable, "-c", SERVER, str(port)], pulse)
    part.start(0.0)
    yield part
    part.kill()


def hung_at(part: Part, now: float) -> int | None:
    """At which question it was killed; None: it was not, for a long while."""
    for asked in range(1, 4 * MISSES):
        if part.kill_if_hung(now + asked * ASK_EVERY_S):
            return asked
    return None


def test_a_process_that_stops_answering_is_killed(part):
    until("it answers", part.pulse.answers, 20)
    assert not part.kill_if_hung(0.0)

    part.process.send_signal(signal.SIGSTOP)

    assert hung_at(part, 0.0) == MISSES
    assert part.process.poll() == -signal.SIGKILL


def test_a_process_that_answers_is_left_alone(part):
    until("it answers", part.pulse.answers, 20)

    assert hung_at(part, 0.0) is None


def test_a_process_may_take_its_time_until_it_first_answers(part):
    part.process.send_signal(signal.SIGSTOP)

    assert hung_at(part, 0.0) is None


def test_what_a_process_before_answered_counts_for_no_later_one():
    pulse = Pulse(lambda: True)
    assert not pulse.is_lost(0.0)
    pulse.answers = lambda: False

    pulse.begin()

    assert not any(pulse.is_lost(n * ASK_EVERY_S) for n in range(1, 4 * MISSES))


def test_one_answer_takes_all_misses_back():
    answers = iter([True, *[False] * (MISSES - 1), True, *[False] * (MISSES - 1)])
    pulse = Pulse(lambda: next(answers))

    assert not any(pulse.is_lost(n * ASK_EVERY_S) for n in range(2 * MISSES))


def test_it_is_not_asked_more_often_than_it_should():
    asked = []
    pulse = Pulse(lambda: asked.append(1) or True)

    for tenth in range(61):
        pulse.is_lost(tenth / 10)

    assert len(asked) == 3
