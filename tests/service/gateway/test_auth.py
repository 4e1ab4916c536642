from __future__ import annotations

import hashlib

import pytest

from service.errors import Unauthorized
from service.gateway.auth import BadKeysFile, Keys, is_loopback, read_keys

ASK = {"query": "q", "documents": ["a"]}


def line(name: str, key: str) -> str:
    return f"{name}:{hashlib.sha256(key.encode()).hexdigest()}\n"


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


@pytest.fixture
def keys_file(tmp_path):
    path = tmp_path / "keys"
    path.write_text("# ours\n\n" + line("search", "s3cret") + line("rag", "other"))
    return path


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("10.0.0.5", False),
        ("gpu-host", False),
    ],
)
def test_loopback(host, expected):
    assert is_loopback(host) is expected


@pytest.mark.parametrize(
    ("content", "says"),
    [
        pytest.param("", "holds no key", id="empty"),
        pytest.param("# only a comment\n", "holds no key", id="comments"),
        pytest.param("a:abc\n", "line 1", id="no digest"),
        pytest.param("a:" + "g" * 64, "line 1", id="not hex"),
        pytest.param(":" + "a" * 64, "line 1", id="no name"),
        pytest.param("a:" + "a" * 64 + "\na:" + "b" * 64, "line 2", id="a name twice"),
    ],
)
def test_a_bad_file_is_refused_without_repeating_it(tmp_path, content, says):
    path = tmp_path / "keys"
    path.write_text(content)
    with pytest.raises(BadKeysFile, match=says) as refused:
        read_keys(path)
    assert "abc" not in str(refused.value)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(BadKeysFile, match="cannot read"):
        read_keys(tmp_path / "none")


@pytest.mark.parametrize(
    "header",
    [None, "", "Bearer", "Bearer ", "Bearer wrong", "Basic s3cret", "s3cret", "Bearer s3cret2"],
)
def test_what_is_no_key_of_ours_is_refused(keys_file, header):
    with pytest.raises(Unauthorized):
        Keys(keys_file).name_of(header)


@pytest.mark.parametrize("place", range(0, 64, 7))
def test_a_digest_that_differs_in_one_digit_is_another_key(tmp_path, place):
    digest = hashlib.sha256(b"s3cret").hexdigest()
    other = "0" if digest[place] != "0" else "1"
    path = tmp_path / "keys"
    path.write_text(f"a:{digest[:place]}{other}{digest[place + 1 :]}")
    with pytest.raises(Unauthorized):
        Keys(path).name_of("Bearer s3cret")


def test_a_key_has_a_name(keys_file):
    assert Keys(keys_file).name_of("bearer  s3cret") == "search"


class TestRotation:
    @pytest.fixture
    def now(self):
        return [0.0]

    @pytest.fixture
    def keys(self, keys_file, now):
        return Keys(keys_file, clock=lambda: now[0])

    def test_a_new_key_works_and_the_old_one_ends_without_a_restart(self, keys, keys_file, now):
        keys_file.write_text(line("search", "new"))
        now[0] += 2.0
        assert keys.name_of("Bearer new") == "search"
        with pytest.raises(Unauthorized):
            keys.name_of("Bearer s3cret")

    @pytest.mark.parametrize("content", ["", "half a li", None])
    def test_a_file_that_became_unusable_changes_nothing(self, keys, keys_file, now, content):
        if content is None:
            keys_file.unlink()
        else:
            keys_file.write_text(content)
        now[0] += 2.0
        assert keys.name_of("Bearer s3cret") == "search"


class TestOverHttp:
    @pytest.fixture
    async def gateway(self, start, worker, keys_file):
        one = await start(api_keys_file=keys_file, key_limits={"rag": 60})
        await one.until_ready()
        return one

    async def test_scoring_and_models_want_a_key(self, gateway):
        for reply in (await gateway.post(ASK), await gateway.get("/v1/models")):
            assert (reply.status, reply.error["code"]) == (401, "unauthorized")
            assert reply.headers["www-authenticate"] == "Bearer"

    async def test_with_a_key_they_answer(self, gateway):
        assert (await gateway.post(ASK, headers=bearer("s3cret"))).status == 200
        assert (await gateway.get("/v1/models", headers=bearer("s3cret"))).status == 200

    @pytest.mark.parametrize("path", ["/livez", "/readyz", "/health", "/metrics", "/docs"])
    async def test_health_and_metrics_are_open(self, gateway, path):
        assert (await gateway.get(path)).status == 200

    async def test_a_key_over_its_minute_is_told_when_to_come_back(self, gateway):
        documents = ["x" * 200]
        first = await gateway.post({"query": "q", "documents": documents}, headers=bearer("other"))
        assert first.headers["x-ratelimit-limit"] == "60"
        reply = await gateway.post({"query": "r", "documents": documents}, headers=bearer("other"))
        assert (reply.status, reply.error["code"]) == (429, "over_limit")
        assert int(reply.headers["retry-after"]) > 1
        other = await gateway.post({"query": "r", "documents": documents}, headers=bearer("s3cret"))
        assert other.status == 200
