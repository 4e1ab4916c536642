"""Each kind of receiver against a server that plays its vendor, on good and on bad days."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import urllib.parse
from dataclasses import replace

import pytest

from alerts.http import Answer
from alerts.message import Kind, Verdict
from alerts.model import Severity
from alerts.senders.build import SecretError, build
from alerts.senders.post import retry_after
from alerts.settings import AlertSettings
from tests.alerts.examples import DIGEST, ENDED, FIRING, HUNG, TAKEN, XID, message
from tests.alerts.make import START, Clock
from tests.alerts.receivers import KINDS, PATH_TOKEN, SECRET, TOKEN, secret, sender_of
from tests.alerts.vendor import Reply, playing, says

YES, RETRY = Verdict.DELIVERED, Verdict.RETRY
BROKEN, REFUSED = Verdict.MISCONFIGURED, Verdict.REFUSED

ALL = sorted(KINDS)
HTML = Reply(200, b"<html><title>Log in to the network</title></html>")


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize(
    ("reply", "verdict"),
    [
        pytest.param(says({"error": "slow down"}, 429, Retry_After="7"), RETRY, id="429"),
        pytest.param(Reply(500, b"oops"), RETRY, id="500"),
        pytest.param(Reply(503), RETRY, id="503"),
        pytest.param(Reply(404, b"no such hook"), BROKEN, id="404: revoked"),
        pytest.param(Reply(401), BROKEN, id="401"),
        pytest.param(Reply(307, b"", {"Location": "http://127.0.0.1:1/"}), BROKEN, id="redirect"),
        pytest.param(Reply(413), REFUSED, id="413: too large"),
        pytest.param(Reply(cut=True), RETRY, id="cut off"),
    ],
)
def test_the_status_decides_when_it_says_that_it_failed(kind, reply, verdict, tmp_path):
    with playing(reply) as vendor:
        outcome = sender_of(kind, vendor, tmp_path, Clock()).send(FIRING)

    assert outcome.verdict is verdict, outcome
    if reply.status == 429:
        assert outcome.retry_after_s == 7.0


@pytest.mark.parametrize("kind", ALL)
def test_a_vendor_that_hangs_is_left_after_the_time_limit(kind, tmp_path):
    with playing(Reply(hang=True)) as vendor:
        settings = {"timeout_s": 0.2}
        from tests.alerts.receivers import settings_of

        given = settings_of(kind, vendor, tmp_path).model_dump()
        given["receivers"] = [{**given["receivers"][0], **settings}]
        configured = AlertSettings.model_validate(given)
        outcome = build(configured.receivers[0], configured, Clock()).send(FIRING)

    assert outcome.verdict is RETRY


@pytest.mark.parametrize(
    ("kind", "reply", "verdict", "wait_s"),
    [
        ("feishu", says({"code": 19021, "msg": "sign match fail"}), BROKEN, None),
        ("feishu", says({"code": 19024, "msg": "Key Words Not Found"}), BROKEN, None),
        ("feishu", says({"code": 9499, "msg": "Bad Request"}), REFUSED, None),
        ("feishu", says({"code": 11232, "msg": "frequency limited"}), RETRY, 30),
        ("lark", says({"StatusCode": 19021, "StatusMessage": "sign"}), BROKEN, None),
        ("dingtalk", says({"errcode": 310000, "errmsg": "sign not match"}), BROKEN, None),
        ("dingtalk", says({"errcode": 130101, "errmsg": "send too fast"}), RETRY, 600),
        ("dingtalk", says({"errcode": -1, "errmsg": "system busy"}), RETRY, 10),
        ("wecom", says({"errcode": 45009, "errmsg": "api freq out of limit"}), RETRY, 60),
        ("wecom", says({"errcode": 93000, "errmsg": "invalid webhook url"}), BROKEN, None),
        ("wecom", says({"errcode": 40058, "errmsg": "too long"}), REFUSED, None),
        ("feishu", HTML, RETRY, None),
        ("lark", HTML, RETRY, None),
        ("dingtalk", HTML, RETRY, None),
        ("wecom", HTML, RETRY, None),
        ("dingtalk", says({"errcode": "0"}), RETRY, None),
        ("telegram", HTML, RETRY, None),
        ("pagerduty", HTML, RETRY, None),
        ("pagerduty", says({"status": "invalid event"}, 202), RETRY, None),
        ("slack", HTML, BROKEN, None),
        ("slack", says({"ok": False, "error": "channel_is_archived"}), BROKEN, None),
        ("teams", Reply(200, b"Webhook message delivery failed with error: 429"), RETRY, None),
        ("discord", says({"retry_after": 1.5, "global": False}, 429), RETRY, 1.5),
        (
            "telegram",
            says({"ok": False, "error_code": 429, "parameters": {"retry_after": 9}}, 429),
            RETRY,
            9,
        ),
        (
            "telegram",
            says({"ok": False, "description": "Bad Request: chat not found"}, 400),
            BROKEN,
            None,
        ),
        (
            "telegram",
            says({"ok": False, "description": "Bad Request: can't parse entities"}, 400),
            REFUSED,
            None,
        ),
    ],
)
def test_the_body_decides_where_the_vendor_hides_the_failure(
    kind, reply, verdict, wait_s, tmp_path
):
    with playing(reply) as vendor:
        outcome = sender_of(kind, vendor, tmp_path, Clock()).send(FIRING)

    assert (outcome.verdict, outcome.retry_after_s) == (verdict, wait_s)


@pytest.mark.parametrize("kind", ALL)
def test_no_report_shows_a_secret_even_when_the_vendor_repeats_it(kind, tmp_path):
    words = f"bad {PATH_TOKEN} {TOKEN} {SECRET} {'R' * 32}"
    with playing() as vendor:
        outcomes = []
        for reply in (
            Reply(400, f"{words} {vendor.url('/' + PATH_TOKEN)}".encode()),
            says({"ok": False, "description": words}, 400),
            says({"errcode": 5, "errmsg": words, "code": 5, "msg": words}),
        ):
            vendor.default = reply
            outcomes.append(sender_of(kind, vendor, tmp_path, Clock()).send(FIRING))
        used = str(vendor.got[0].path) + str(vendor.got[0].json)

    hidden = [secret for secret in (PATH_TOKEN, TOKEN, "R" * 32) if secret in used]
    hidden += [SECRET] if kind in {"feishu", "lark", "dingtalk", "webhook"} else []
    for outcome in outcomes:
        for each in hidden:
            assert each not in outcome.detail


@pytest.mark.parametrize("kind", ALL)
def test_every_try_of_a_message_is_the_same_request_but_for_time_and_signature(kind, tmp_path):
    with playing(KINDS[kind].yes) as vendor:
        clock = Clock()
        sender = sender_of(kind, vendor, tmp_path, clock)
        sender.send(FIRING)
        clock.pass_s(3600)
        sender.send(FIRING)
        first, second = vendor.got

    if kind != "alertmanager":
        assert first.headers["idempotency-key"] == second.headers["idempotency-key"]

    def stable(request):
        body = request.json
        if isinstance(body, dict):
            return {key: value for key, value in body.items() if key not in {"timestamp", "sign"}}
        return [{key: value for key, value in each.items() if key != "endsAt"} for each in body]

    assert stable(first) == stable(second)


def test_the_webhook_signature_is_verified_by_openssl(tmp_path):
    import subprocess

    with playing() as vendor:
        sender_of("webhook", vendor, tmp_path, Clock(START + 0.9)).send(FIRING)
        (request,) = vendor.got

    stamp = request.headers["x-rankguard-timestamp"]
    signed = tmp_path / "signed"
    signed.write_bytes(stamp.encode() + b"." + request.body)
    found = subprocess.run(
        ["openssl", "dgst", "-sha256", "-hmac", SECRET, "-r", str(signed)],
        check=True,
        capture_output=True,
        text=True,
    )
    assert request.headers["x-rankguard-signature"] == f"sha256={found.stdout.split()[0]}"
    assert stamp == str(int(START))


def test_feishu_is_signed_with_the_time_and_secret_as_key(tmp_path):
    with playing(KINDS["feishu"].yes) as vendor:
        sender_of("feishu", vendor, tmp_path, Clock()).send(FIRING)
        body = vendor.got[0].json

    key = f"{body['timestamp']}\n{SECRET}"
    assert body["sign"] == base64.b64encode(hmac.digest(key.encode(), b"", "sha256")).decode()
    assert body["timestamp"] == str(int(START))


def test_dingtalk_is_signed_in_the_url(tmp_path):
    with playing(KINDS["dingtalk"].yes) as vendor:
        sender_of("dingtalk", vendor, tmp_path, Clock()).send(FIRING)
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(vendor.got[0].path).query)

    (stamp,) = query["timestamp"]
    expected = hmac.new(SECRET.encode(), f"{stamp}\n{SECRET}".encode(), hashlib.sha256).digest()
    assert base64.b64decode(query["sign"][0]) == expected
    assert stamp == str(int(START * 1000))
    assert query["access_token"] == [PATH_TOKEN]


def test_pagerduty_opens_takes_and_closes_with_one_key(tmp_path):
    with playing(KINDS["pagerduty"].yes) as vendor:
        sender = sender_of("pagerduty", vendor, tmp_path, Clock())
        for each in (FIRING, TAKEN, ENDED, DIGEST):
            assert sender.send(each).verdict is YES
        events = [request.json for request in vendor.got]

    assert [event["event_action"] for event in events] == ["trigger", "acknowledge", "resolve"]
    assert len({event["dedup_key"] for event in events}) == 1
    assert events[0]["payload"]["severity"] == "critical"


LIMITS = {
    "slack": lambda body: (
        max(len(block["text"]["text"]) for block in body["attachments"][0]["blocks"][:2]) <= 3000
    ),
    "discord": lambda body: (
        len(body["embeds"][0]["description"].encode("utf-16-le")) // 2 <= 4096
        and len(body["embeds"][0]["title"]) <= 256
    ),
    "teams": lambda body: len(json.dumps(body, ensure_ascii=False).encode()) <= 28_000,
    "feishu": lambda body: len(json.dumps(body, ensure_ascii=False).encode()) <= 20_000,
    "lark": lambda body: len(json.dumps(body, ensure_ascii=False).encode()) <= 20_000,
    "dingtalk": lambda body: len(json.dumps(body, ensure_ascii=False).encode()) <= 20_000,
    "wecom": lambda body: len(body["markdown"]["content"].encode()) <= 4096,
    "telegram": lambda body: len(body["text"].encode("utf-16-le")) // 2 <= 4096,
    "pagerduty": lambda body: len(body["payload"]["summary"]) <= 1024,
    "webhook": lambda body: len(body["alerts"]) == 50,
    "alertmanager": lambda body: len(body) == 50,
}


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize(
    "filling",
    [
        "错误" * 20_000,
        "👩‍👩‍👧‍👦" * 5_000,
        "<b>&*_[" * 8_000,
        "\ud800\x00\x1b[31m\u202e" * 4_000,
        "\n" * 30_000,
    ],
    ids=["chinese", "joined emoji", "markup", "control characters", "line breaks"],
)
def test_a_huge_message_stays_within_the_vendors_limits_and_is_valid_text(
    kind, language, filling, tmp_path
):
    huge = replace(HUNG, summary=filling, action=filling, evidence={"log": filling})
    many = message(huge, *[replace(XID, fingerprint=f"fp{n}") for n in range(49)], left_out=9_000)
    with playing(KINDS[kind].yes) as vendor:
        outcome = sender_of(kind, vendor, tmp_path, Clock(), language=language).send(many)
        request = vendor.got[0]

    assert outcome.verdict is YES
    assert LIMITS[kind](json.loads(request.body.decode("utf-8")))
    assert "�" not in request.body.decode("utf-8")


@pytest.mark.parametrize("kind", ["slack", "feishu", "lark", "wecom", "telegram"])
def test_text_from_outside_can_neither_mention_anybody_nor_add_markup(kind, tmp_path):
    evil = '<!channel> <at id="all"></at> <@everyone> <b>x</b> <a href="http://evil">y</a>'
    with playing(KINDS[kind].yes) as vendor:
        sender_of(kind, vendor, tmp_path, Clock()).send(message(replace(XID, summary=evil)))
        body = vendor.got[0].body.decode()

    assert "<!channel" not in body
    assert "<at id" not in body
    assert "<@everyone" not in body
    assert "<b>x" not in body
    assert '<a href=\\"http://evil' not in body


def test_discord_mentions_nobody_and_asks_for_the_stored_message(tmp_path):
    with playing(KINDS["discord"].yes) as vendor:
        sender_of("discord", vendor, tmp_path, Clock()).send(FIRING)
        (request,) = vendor.got

    assert request.json["allowed_mentions"] == {"parse": []}
    assert request.path.endswith("?wait=true")


def test_a_critical_alert_mentions_people_and_its_end_does_not(tmp_path):
    with playing(says({"errcode": 0})) as vendor:
        for kind in ("dingtalk", "wecom"):
            sender = sender_of(kind, vendor, tmp_path, Clock())
            sender.send(FIRING)
            sender.send(ENDED)
        loud, calm, named, silent = [request.json for request in vendor.got]

    assert loud["at"]["atMobiles"] == ["13800000000"]
    assert calm["at"]["atMobiles"] == []
    assert "<@ann>" in named["markdown"]["content"]
    assert "<@ann>" not in silent["markdown"]["content"]
    assert "rankguard" in loud["markdown"]["text"]


def test_alertmanager_is_delivered_when_one_member_took_it(tmp_path):
    with playing() as good, playing(Reply(500)) as bad:
        settings = AlertSettings.model_validate(
            {
                "receivers": [
                    {
                        "name": "am",
                        "type": "alertmanager",
                        "urls": [bad.url(""), good.url("/prefix/")],
                        "allow_insecure": True,
                    }
                ]
            }
        )
        sender = build(settings.receivers[0], settings, Clock())

        half = sender.send(FIRING)
        good.default = Reply(503)
        none = sender.send(FIRING)

        assert half.verdict is YES
        assert "not all members" in half.detail
        assert none.verdict is RETRY
        assert good.got[0].path == "/prefix/api/v2/alerts"


@pytest.mark.parametrize("kind", ["alertmanager", "pagerduty"])
def test_programs_get_no_digest(kind, tmp_path):
    with playing(KINDS[kind].yes) as vendor:
        assert sender_of(kind, vendor, tmp_path, Clock()).send(DIGEST).verdict is YES
        assert vendor.got == []


def test_a_template_makes_the_body_and_is_signed_as_sent(tmp_path):
    template = tmp_path / "body.jinja"
    template.write_text(
        '{"title": {{ alerts[0].labels.alertname | json }}, "n": {{ alerts | length }}}'
    )
    with playing() as vendor:
        settings = AlertSettings.model_validate(
            {
                "receivers": [
                    {
                        "name": "w",
                        "type": "webhook",
                        "url": vendor.url(),
                        "allow_insecure": True,
                        "template_file": str(template),
                    }
                ]
            }
        )
        outcome = build(settings.receivers[0], settings, Clock()).send(FIRING)

        assert outcome.verdict is YES
        assert vendor.got[0].json == {"title": "ReplicaHung", "n": 2}


@pytest.mark.parametrize(
    "text", ["{{ nothing.here }}", "{{ ''.__class__.__mro__ }}", "{{ 'x' * 10**6 }}"]
)
def test_a_template_that_fails_refuses_the_message_and_says_why(text, tmp_path):
    template = tmp_path / "body.jinja"
    template.write_text(text)
    with playing() as vendor:
        settings = AlertSettings.model_validate(
            {
                "receivers": [
                    {
                        "name": "w",
                        "type": "webhook",
                        "url": vendor.url(),
                        "allow_insecure": True,
                        "template_file": str(template),
                    }
                ]
            }
        )
        outcome = build(settings.receivers[0], settings, Clock()).send(FIRING)

        assert outcome.verdict is REFUSED
        assert "body.jinja" in outcome.detail
        assert vendor.got == []


@pytest.mark.parametrize("content", [None, "", "  \n"])
def test_a_secret_that_cannot_be_read_is_said_at_the_start(content, tmp_path):
    path = tmp_path / "secret"
    if content is not None:
        path.write_text(content)
    settings = AlertSettings.model_validate(
        {
            "receivers": [
                {
                    "name": "w",
                    "type": "webhook",
                    "url": "https://x.example",
                    "secret_file": str(path),
                }
            ]
        }
    )

    with pytest.raises(SecretError, match="secret"):
        build(settings.receivers[0], settings, Clock())


def test_a_test_message_says_so_and_an_info_one_has_its_own_tone(tmp_path):
    with playing(KINDS["slack"].yes) as vendor:
        sender = sender_of("slack", vendor, tmp_path, Clock())
        test = replace(FIRING, kind=Kind.TEST, severity=Severity.INFO, note="test")
        sender.send(test)

        text = vendor.got[0].json["text"]
        assert "TEST" in text
        assert "INFO" in text


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        ({"Retry-After": "7"}, 7.0),
        ({"Retry-After": "0.5"}, 0.5),
        ({"X-RateLimit-Reset-After": "2.25"}, 2.25),
        (
            {
                "Date": "Mon, 21 Sep 2026 10:00:00 GMT",
                "Retry-After": "Mon, 21 Sep 2026 10:00:30 GMT",
            },
            30.0,
        ),
        (
            {
                "Date": "Mon, 21 Sep 2026 10:00:30 GMT",
                "Retry-After": "Mon, 21 Sep 2026 10:00:00 GMT",
            },
            0.0,
        ),
        ({"Retry-After": "Mon, 21 Sep 2026 10:00:00 GMT"}, None),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "-5"}, None),
        ({"Retry-After": "inf"}, None),
        ({"Retry-After": "soon", "X-RateLimit-Reset-After": "3"}, 3.0),
        ({}, None),
    ],
)
def test_how_long_to_wait_is_read_from_what_the_vendor_says(headers, wait_s):
    answer = Answer(429, {name.lower(): value for name, value in headers.items()})

    assert retry_after(answer) == wait_s


@pytest.mark.parametrize(
    ("given", "header"),
    [
        ({"bearer_file": "T0ken"}, "Bearer T0ken"),
        (
            {"username": "ann", "password_file": "pa:ss"},
            "Basic " + base64.b64encode(b"ann:pa:ss").decode(),
        ),
    ],
)
def test_alertmanager_is_told_who_we_are_and_its_answer_does_not_tell_it_on(
    given, header, tmp_path
):
    files = {
        name: secret(tmp_path, value) if name.endswith("_file") else value
        for name, value in given.items()
    }
    with playing(Reply(400, f"no {header}".encode())) as vendor:
        settings = AlertSettings.model_validate(
            {
                "receivers": [
                    {
                        "name": "am",
                        "type": "alertmanager",
                        "urls": [vendor.url("")],
                        "allow_insecure": True,
                        **files,
                    }
                ]
            }
        )
        outcome = build(settings.receivers[0], settings, Clock()).send(FIRING)

        assert vendor.got[0].headers["authorization"] == header
    assert header not in outcome.detail


def test_pagerdutys_key_stays_within_its_limit(tmp_path):
    with playing(KINDS["pagerduty"].yes) as vendor:
        sender = sender_of("pagerduty", vendor, tmp_path, Clock())
        for group in ("a" * 400, "b" * 400):
            sender.send(replace(FIRING, group=group))
        keys = [request.json["dedup_key"] for request in vendor.got]

    assert all(len(key) <= 255 for key in keys)
    assert len(set(keys)) == 2
