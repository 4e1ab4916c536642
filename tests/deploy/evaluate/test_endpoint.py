import pytest

from deploy.evaluate.endpoint import Client, EndpointError, describe, parse_target, read_key
from tests.deploy.evaluate.server import Endpoint, serving


@pytest.mark.parametrize(
    ("text", "name", "dialect", "url"),
    [
        pytest.param("http://h:1", "h:1", "jina", "http://h:1", id="a URL alone is jina"),
        pytest.param("http://h:1/", "h:1", "jina", "http://h:1", id="no trailing slash"),
        pytest.param("tei+http://h", "h", "tei", "http://h", id="with a dialect"),
        pytest.param("old=cohere+https://h/x", "old", "cohere", "https://h/x", id="with a name"),
        pytest.param("a=http://h/?x=1", "a", "jina", "http://h/?x=1", id="an = in the URL"),
    ],
)
def test_a_target_is_read_from_one_word(text, name, dialect, url):
    target = parse_target(text)
    assert (target.name, target.dialect.name, target.url) == (name, dialect, url)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("127.0.0.1:8000", id="no scheme"),
        pytest.param("ftp://h", id="another scheme"),
        pytest.param("soap+http://h", id="unknown dialect"),
        pytest.param("http://user:secret@h", id="a password in the URL"),
    ],
)
def test_what_is_no_target_is_refused_without_repeating_a_password(text):
    with pytest.raises(EndpointError) as caught:
        parse_target(text)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "loopback"),
    [
        ("http://127.0.0.1:1", True),
        ("http://127.8.8.8", True),
        ("http://localhost:1", True),
        ("http://[::1]:1", True),
        ("http://192.168.1.1", False),
        ("http://localhost.example", False),
        ("http://0.0.0.0", False),
    ],
)
def test_loopback_is_this_host_and_nothing_else(url, loopback):
    assert parse_target(url).is_loopback is loopback


@pytest.mark.parametrize("dialect", ["jina", "vllm", "cohere", "tei", "score"])
async def test_every_dialect_is_spoken_over_a_real_socket(dialect):
    with serving(Endpoint()) as server:
        async with Client() as client:
            target = parse_target(f"{dialect}+{server.url}")
            ranked = await client.rerank(target, "blue ship", ["a red car", "a blue ship"])
    assert ranked.order == (1, 0)


async def test_a_busy_endpoint_is_asked_again():
    with serving(Endpoint(refuse=[503])) as server:
        async with Client() as client:
            ranked = await client.rerank_patiently(parse_target(server.url), "a", ["a"])
    assert ranked.scores == (1.0,)
    assert len(server.bodies) == 2


async def test_a_refusal_is_not_asked_again_and_says_why():
    with serving(Endpoint(refuse=[422])) as server:
        async with Client() as client:
            with pytest.raises(EndpointError, match="422: not now"):
                await client.rerank_patiently(parse_target(server.url), "a", ["a"])
    assert len(server.bodies) == 1


async def test_an_answer_that_does_not_come_in_time_is_an_error():
    from dataclasses import replace

    with serving(Endpoint(delay_s=5)) as server:
        async with Client() as client:
            target = replace(parse_target(server.url), timeout_s=0.05)
            with pytest.raises(EndpointError, match=r"within 0\.05 s"):
                await client.rerank(target, "a", ["a"])


async def test_the_key_is_sent_and_never_shown(tmp_path):
    from dataclasses import replace

    file = tmp_path / "key"
    file.write_text("s3cret\n")
    with serving(Endpoint()) as server:
        target = replace(parse_target(server.url), key=read_key(file))
        async with Client() as client:
            await client.rerank(target, "a", ["a"])
    assert server.keys == ["Bearer s3cret"]
    assert "s3cret" not in repr(target)


async def test_the_model_is_what_the_endpoint_says():
    with serving(Endpoint()) as server:
        async with Client() as client:
            assert await describe(client, parse_target(server.url)) == "test-model"
