"""Email against a small SMTP server that answers as scripted."""

from __future__ import annotations

import email
import email.policy
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from alerts.message import Verdict
from alerts.senders.build import build
from alerts.settings import AlertSettings
from tests.alerts.examples import ENDED, FIRING
from tests.alerts.make import Clock


class Smtp(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self) -> None:
        self.answers: dict[str, str] = {}
        self.letters: list[bytes] = []
        super().__init__(("127.0.0.1", 0), _Session)


class _Session(socketserver.StreamRequestHandler):
    server: Smtp

    def _say(self, text: str) -> None:
        self.wfile.write(text.encode() + b"\r\n")

    def handle(self) -> None:
        self._say("220 ready")
        while line := self.rfile.readline().decode().strip():
            verb = line.split(":")[0].split()[0].upper()
            if verb in self.server.answers:
                self._say(self.server.answers[verb])
            elif verb == "EHLO":
                self._say("250 SMTPUTF8")
            elif verb == "DATA":
                self._say("354 go on")
                body = b""
                while (part := self.rfile.readline()) not in {b".\r\n", b""}:
                    body += part
                self.server.letters.append(body)
                self._say(self.server.answers.get("END", "250 taken"))
            elif verb == "QUIT":
                self._say("221 bye")
                return
            else:
                self._say("250 ok")


@contextmanager
def serving() -> Iterator[Smtp]:
    with Smtp() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join(5)


def sender(port: int, language: str = "en", **more):
    receiver = {
        "name": "mail",
        "type": "email",
        "server": "127.0.0.1",
        "port": port,
        "tls": "none",
        "allow_insecure": True,
        "sender": "rankguard@example.com",
        "to": ["oncall@example.com", "boss@example.com"],
        "timeout_s": 10,
        **more,
    }
    settings = AlertSettings.model_validate(
        {"receivers": [receiver], "language": language, "timezone": "UTC"}
    )
    return build(settings.receivers[0], settings, Clock())


@pytest.mark.parametrize(("language", "word"), [("en", "CRITICAL"), ("zh", "严重")])
def test_a_letter_arrives_whole_in_both_languages(language, word):
    with serving() as server:
        outcome = sender(server.server_address[1], language).send(FIRING)
        letter = email.message_from_bytes(server.letters[0], policy=email.policy.default)

    assert outcome.verdict is Verdict.DELIVERED
    assert letter["Subject"].startswith(word)
    assert letter["To"] == "oncall@example.com, boss@example.com"
    assert "replica-0 makes no progress" in letter.get_content()


def test_every_try_has_the_same_id_and_the_end_is_in_the_same_thread():
    with serving() as server:
        mail = sender(server.server_address[1])
        for message in (FIRING, FIRING, ENDED):
            mail.send(message)
        letters = [email.message_from_bytes(each) for each in server.letters]

    assert letters[0]["Message-ID"] == letters[1]["Message-ID"]
    assert len({letter["References"] for letter in letters}) == 1


@pytest.mark.parametrize(
    ("verb", "answer", "verdict"),
    [
        ("RCPT", "450 mailbox busy", Verdict.RETRY),
        ("RCPT", "550 no such user", Verdict.MISCONFIGURED),
        ("MAIL", "553 sender not allowed", Verdict.MISCONFIGURED),
        ("MAIL", "451 try later", Verdict.RETRY),
        ("END", "552 too large", Verdict.REFUSED),
        ("END", "451 try later", Verdict.RETRY),
    ],
)
def test_the_answer_says_whether_another_try_helps(verb, answer, verdict):
    with serving() as server:
        server.answers[verb] = answer
        outcome = sender(server.server_address[1]).send(FIRING)

    assert outcome.verdict is verdict


def test_a_server_without_encryption_is_not_spoken_to_in_the_clear():
    with serving() as server:
        outcome = sender(server.server_address[1], tls="starttls").send(FIRING)

        assert outcome.verdict is Verdict.MISCONFIGURED
        assert server.letters == []


def test_a_server_that_is_gone_is_tried_again():
    with serving() as server:
        port = server.server_address[1]

    assert sender(port).send(FIRING).verdict is Verdict.RETRY


def test_a_subject_has_one_line_whatever_the_names_are():
    from dataclasses import replace

    from tests.alerts.examples import HUNG, message

    evil = message(replace(HUNG, host="h1\r\nBcc: everybody@example.com"))
    with serving() as server:
        outcome = sender(server.server_address[1]).send(evil)
        letter = email.message_from_bytes(server.letters[0], policy=email.policy.default)

    assert outcome.verdict is Verdict.DELIVERED
    assert letter["Bcc"] is None
