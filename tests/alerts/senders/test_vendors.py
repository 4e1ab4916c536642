"""Each kind of receiver against a server that plays its vendor, on good and on bad days."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import urllib.parse
from dataclasses import replace

import pytest

from alerts.http import Answer
from alerts.message import Kind, Verdict
from alerts.model import Severity
from alerts.retry import RetryLimits, decide
from alerts.senders.build import SecretError, build
from alerts.senders.post import retry_after
from alerts.settings import AlertSettings
from tests.alerts.examples import DIGEST, ENDED, FIRING, HUNG, TAKEN, XID, message
from tests.alerts.make import START, Clock
from tests.alerts.receivers import KINDS, PATH_TOKEN, SECRET, TOKEN, secret, sender_of, settings_of
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


@pytest.mark.parametrize("size", [3000, 5000, 9000])
@pytest.mark.parametrize("kind", ["slack", "teams", "discord", "feishu", "dingtalk", "telegram"])
def test_no_cut_leaves_half_of_an_escape(kind, size, tmp_path):
    """A cut after escaping ends in `&am…` or in a lone backslash; one before it does not."""
    hostile = "&<*_" * size
    long = message(
        replace(HUNG, name="&" * 199, host="&" * 199, replica="&" * 199, summary=hostile)
    )
    with playing(KINDS[kind].yes) as vendor:
        sender_of(kind, vendor, tmp_path, Clock()).send(long)
        texts = list(_texts(vendor.got[0].json))

    for text in texts:
        assert not re.search(r"&(?!amp;|lt;|gt;|quot;|#x?\d+;)[#a-z]{1,5}…", text), text[-80:]
        assert not re.search(r"(?<!\\)(\\\\)*\\…", text), text[-80:]
    if kind == "slack":
        sections = vendor.got[0].json["attachments"][0]["blocks"]
        head = sections[0]["text"]["text"]
        assert head.startswith("*")
        assert head.endswith("*")
        assert len(head) <= 3000


def _texts(value):
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from _texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(Reply(429, b'{"retry_after": 1' + b"0" * 400 + b"}"), id="a number too large"),
        pytest.param(Reply(429, b'{"parameters": {"retry_after": NaN}}'), id="not a number"),
        pytest.param(Reply(500, b"[" * 60_000), id="brackets without end"),
        pytest.param(Reply(200, b"[" * 60_000), id="brackets and a yes"),
        pytest.param(Reply(429, b"{}", {"Retry-After": "9" * 400}), id="a header too large"),
        pytest.param(Reply(429, b"{}", {"Retry-After": "-5"}), id="a header below zero"),
        pytest.param(
            Reply(
                429,
                b"{}",
                {"Retry-After": "Fri, 31 Dec 9999 23:59:59 GMT", "Date": "Mon, 21 Sep 2026 14:00"},
            ),
            id="the end of days",
        ),
        pytest.param(Reply(500, b"\xff\xfe" * 500), id="bytes that are no text"),
    ],
)
def test_an_answer_full_of_nonsense_costs_no_message(kind, reply, tmp_path):
    with playing(reply) as vendor:
        sender = sender_of(kind, vendor, tmp_path, Clock())
        outcome = sender.send(FIRING)

    assert outcome.verdict in {RETRY, YES}
    decided = decide(
        outcome, attempts=1, created_at=START, now=START, jitter=1, limits=RetryLimits()
    )
    assert decided.at - START <= 3600


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("ahead", [150, 170, 185])
def test_a_report_that_is_cut_shows_no_half_of_a_secret(kind, ahead, tmp_path):
    with playing() as vendor:
        for text in (PATH_TOKEN, TOKEN, SECRET, "R" * 32):
            vendor.default = Reply(400, b"x" * ahead + b" " + text.encode() + b" sorry")
            outcome = sender_of(kind, vendor, tmp_path, Clock()).send(FIRING)
            used = str(vendor.got[-1].path) + str(vendor.got[-1].json)
            if text in used or (text == SECRET and kind in {"feishu", "dingtalk", "webhook"}):
                assert text[:8] not in outcome.detail
            assert len(outcome.detail) <= 210


@pytest.mark.parametrize(
    ("reply", "verdict"),
    [
        pytest.param(
            says({"status": "invalid event", "errors": ["Invalid routing key"]}, 400),
            BROKEN,
            id="a key that is wrong waits for a person",
        ),
        pytest.param(
            says({"status": "invalid key", "message": "Event object is invalid"}, 400),
            BROKEN,
            id="in other words",
        ),
        pytest.param(
            says({"status": "invalid event", "errors": ["'payload.summary' is missing"]}, 400),
            REFUSED,
            id="an event that is wrong does not",
        ),
    ],
)
def test_pagerduty_tells_a_wrong_key_from_a_wrong_event(reply, verdict, tmp_path):
    with playing(reply) as vendor:
        assert sender_of("pagerduty", vendor, tmp_path, Clock()).send(FIRING).verdict is verdict


@pytest.mark.parametrize(
    ("body", "verdict"),
    [
        pytest.param(b"1", YES, id="the old connectors' yes"),
        pytest.param(b"", YES, id="a workflow's yes"),
        pytest.param(
            b"Webhook message delivery failed with error: Microsoft Teams endpoint returned"
            b" HTTP error 429 with ContextId",
            RETRY,
            id="the old connectors' no",
        ),
        pytest.param(b'{"error": {"code": "TriggerConditionNotMet"}}', RETRY, id="an error"),
        pytest.param(
            b'{"received": "GPU 3 has uncorrectable errors; last check failed", "error": null}',
            YES,
            id="our own words repeated are no failure",
        ),
    ],
)
def test_teams_says_no_in_its_own_words_only(body, verdict, tmp_path):
    with playing(Reply(200, body)) as vendor:
        assert sender_of("teams", vendor, tmp_path, Clock()).send(FIRING).verdict is verdict


@pytest.mark.parametrize(
    ("reply", "verdict"),
    [
        pytest.param(Reply(200, b"ok" * 50, drip_s=0.05), YES, id="a yes whose body drips"),
        pytest.param(Reply(500, b"no" * 50, drip_s=0.05), RETRY, id="a no whose body drips"),
        pytest.param(Reply(202, b"part", missing=100), YES, id="a body that is missing"),
    ],
)
@pytest.mark.parametrize("kind", ["webhook", "alertmanager"])
def test_where_the_status_is_the_answer_a_slow_body_changes_nothing(kind, reply, verdict, tmp_path):
    with playing(reply) as vendor:
        given = settings_of(kind, vendor, tmp_path).model_dump()
        given["receivers"] = [{**given["receivers"][0], "timeout_s": 1.5}]
        configured = AlertSettings.model_validate(given)
        outcome = build(configured.receivers[0], configured, Clock()).send(FIRING)

    assert outcome.verdict is verdict


@pytest.mark.parametrize("kind", ["feishu", "dingtalk", "telegram", "pagerduty"])
def test_where_the_body_is_the_answer_a_body_without_end_is_none(kind, tmp_path):
    with playing(replace(KINDS[kind].yes, drip_s=0.05)) as vendor:
        given = settings_of(kind, vendor, tmp_path).model_dump()
        given["receivers"] = [{**given["receivers"][0], "timeout_s": 0.3}]
        configured = AlertSettings.model_validate(given)
        outcome = build(configured.receivers[0], configured, Clock()).send(FIRING)

    assert outcome.verdict is RETRY


def test_a_url_that_is_none_waits_for_a_person(tmp_path):
    path = tmp_path / "url"
    path.write_text("https://[hooks.example.com/token-123")
    settings = AlertSettings.model_validate(
        {"receivers": [{"name": "s", "type": "slack", "url_file": str(path)}]}
    )
    outcome = build(settings.receivers[0], settings, Clock()).send(FIRING)

    assert outcome.verdict is BROKEN
    assert "token-123" not in outcome.detail


@pytest.mark.parametrize("about", ["replica", "gpu", "host"])
def test_a_template_reads_a_label_that_an_alert_lacks_as_empty(about, tmp_path):
    given = {
        "replica": HUNG,
        "gpu": replace(XID, replica=None),
        "host": replace(HUNG, name="HostDiskFull", replica=None, gpu_uuid=None),
    }[about]
    template = tmp_path / "body.jinja"
    template.write_text(
        '{"text": {{ (alerts[0].labels.replica ~ "|" ~ alerts[0].labels.gpu_uuid ~ "|"'
        ' ~ alerts[0].annotations.action ~ "|" ~ commonLabels.team) | json }}}'
    )
    with playing() as vendor:
        settings = settings_of("webhook", vendor, tmp_path).model_dump()
        settings["receivers"] = [{**settings["receivers"][0], "template_file": str(template)}]
        configured = AlertSettings.model_validate(settings)
        sender = build(configured.receivers[0], configured, Clock())
        outcome = sender.send(message(given))

        assert outcome.verdict is YES, outcome.detail
        assert vendor.got[0].json["text"].split("|")[0] == (given.replica or "")


def test_alertmanager_gets_names_that_every_version_takes(tmp_path):
    odd = replace(
        HUNG,
        evidence={"oldest request": "31 s", "温度": "90 °C", "1st-byte": "2 s"},
        labels={"gpu-model": "H100", "team": "search"},
    )
    with playing(KINDS["alertmanager"].yes) as vendor:
        sender_of("alertmanager", vendor, tmp_path, Clock()).send(message(odd))
        (sent,) = vendor.got[0].json

    names = [*sent["labels"], *sent["annotations"]]
    assert all(re.fullmatch("[a-zA-Z_][a-zA-Z0-9_]*", name) for name in names)
    assert sent["annotations"]["evidence_oldest_request"] == "31 s"
    assert sent["labels"]["gpu_model"] == "H100"
    assert "90 °C" in sent["annotations"].values()
