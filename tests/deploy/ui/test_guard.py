from __future__ import annotations

import asyncio
import base64
import hashlib

import pytest

from deploy.ui.guard import POLICY, Guard
from service.gateway.auth import Keys

KEY = "pass:word-é"


async def page(_scope, _receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"page"})


def ask(guard, headers, kind="http"):
    """Status, headers and body of one request to an ASGI app."""
    sent = []
    scope = {
        "type": kind,
        "method": "GET",
        "path": "/",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }

    async def receive():
        return {"type": "http.request"}

    async def send(message):
        sent.append(message)

    asyncio.run(guard(scope, receive, send))
    names = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], names, sent[1]["body"]


@pytest.fixture
def keys(tmp_path):
    file = tmp_path / "keys"
    file.write_text(f"somebody:{hashlib.sha256(KEY.encode()).hexdigest()}\n")
    return Keys(file)


def basic(text, scheme="Basic"):
    return {"authorization": f"{scheme} {base64.b64encode(text.encode()).decode()}"}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        pytest.param({}, 401, id="nobody"),
        pytest.param(basic(f"somebody:{KEY}"), 200, id="a name and a key"),
        pytest.param(basic(f":{KEY}"), 200, id="no name: the key says who it is"),
        pytest.param(basic("somebody:wrong"), 401, id="a wrong key"),
        pytest.param(basic(KEY), 401, id="no colon before the key"),
        pytest.param(basic(f"x:{KEY}", "Bearer"), 401, id="another scheme"),
        pytest.param({"authorization": "Basic ?"}, 401, id="not base64"),
        pytest.param({"authorization": "Basic /w=="}, 401, id="not UTF-8"),
    ],
)
def test_with_keys_only_who_has_one_gets_in(keys, headers, status):
    guard = Guard(page, keys, local=False)

    got, names, body = ask(guard, {"host": "10.0.0.1:7860", **headers})

    assert got == status
    assert (body == b"page") == (status == 200)
    assert ("www-authenticate" in names) == (status == 401)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        pytest.param({"host": "127.0.0.1:7860"}, 200, id="an address"),
        pytest.param({"host": "localhost:7860"}, 200, id="localhost"),
        pytest.param({"host": "[::1]:7860"}, 200, id="IPv6"),
        pytest.param({"host": "evil.example"}, 403, id="a name that was turned to this host"),
        pytest.param({"host": "localhost.evil.example:7860"}, 403, id="a look-alike"),
        pytest.param({}, 403, id="none"),
        pytest.param(
            {"host": "127.0.0.1:1", "origin": "http://127.0.0.1:1"}, 200, id="its own page"
        ),
        pytest.param({"host": "127.0.0.1:1", "origin": "http://evil"}, 403, id="another page"),
        pytest.param({"host": "127.0.0.1:1", "origin": "null"}, 403, id="a file or a sandbox"),
    ],
)
def test_on_loopback_no_other_sites_page_can_use_it(headers, status):
    assert ask(Guard(page, Keys(None), local=True), headers)[0] == status


def test_every_answer_forbids_what_is_not_its_own():
    _, names, _ = ask(Guard(page, Keys(None), local=True), {"host": "localhost"})

    assert names["content-security-policy"] == POLICY
    assert "http" not in POLICY
    assert "*" not in POLICY


def test_what_is_not_http_is_refused():
    guard = Guard(page, Keys(None), local=True)

    assert ask(guard, {"host": "localhost"}, kind="websocket")[0] == 403
