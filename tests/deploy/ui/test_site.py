"""What the running playground gives to somebody who asks without a browser."""

from __future__ import annotations

import json

import pytest
import requests

from tests.deploy.ui.browser import playground

pytest.importorskip("gradio", reason="the extra ui is not installed")
pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(300)]

KEY = "k3y-of-the-playground"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("ui")


@pytest.fixture(scope="module")
def url(folder):
    key = folder / "key"
    key.write_text(KEY)
    secret = folder / "secret.txt"
    secret.write_text("a line of this host\n")
    with playground(folder, API_KEY_FILE=key, GATEWAY_URL="http://127.0.0.1:1") as found:
        yield found


def event(url, kind, data):
    """What an event of the page gives, asked as the page asks."""
    page = f"{url}en/gradio_api/queue"
    session = {"session_hash": "a-session"}
    config = requests.get(f"{url}en/config", timeout=20).json()
    kinds = {item["id"]: item["type"] for item in config["components"]}
    [found] = [
        item["id"]
        for item in config["dependencies"]
        if [kinds[one] for one in item["inputs"]] == [kind]
    ]
    asked = {"data": data, "fn_index": found, **session}
    assert requests.post(f"{page}/join", json=asked, timeout=20).ok
    with requests.get(f"{page}/data", params=session, stream=True, timeout=20) as answer:
        for line in answer.iter_lines():
            if b"process_completed" in line:
                return json.loads(line.removeprefix(b"data: "))
    raise AssertionError("no answer")


def test_the_browsers_language_leads_to_its_page(url):
    for language, code in (("zh-CN,zh;q=0.9", "zh"), ("fr", "en")):
        answer = requests.get(url, headers={"accept-language": language}, timeout=20)
        assert answer.url == f"{url}{code}/"
        assert answer.ok


@pytest.mark.parametrize("kind", ["file", "checkbox"])
@pytest.mark.parametrize(
    "path",
    [
        pytest.param("{folder}/secret.txt", id="of the host"),
        pytest.param("http://127.0.0.1:1/secret.txt", id="of another service"),
        pytest.param("https://203.0.113.1/secret.txt", id="of the web"),
    ],
)
def test_only_what_was_uploaded_is_taken_as_a_file(url, folder, kind, path):
    file = {"path": path.format(folder=folder), "meta": {"_type": "gradio.FileData"}}

    completed = event(url, kind, [file])

    assert completed["success"] is False
    if "://" in path:
        assert completed["output"]["error"] == "not uploaded here"


def test_what_another_language_kept_brings_no_file_of_the_host_onto_the_page(url, folder):
    kept = json.dumps({"query": "q", "file": str(folder / "secret.txt")})

    completed = event(url, "textbox", [kept])

    assert completed["success"] is True
    assert "q" in completed["output"]["data"]
    assert "secret.txt" not in json.dumps(completed)


@pytest.mark.parametrize(
    "what", ["file={secret}", "file=pyproject.toml", "proxy=http://127.0.0.1/"]
)
def test_no_file_and_no_other_service_of_the_host_is_given_out(url, folder, what):
    asked = what.format(secret=folder / "secret.txt")

    assert requests.get(f"{url}en/gradio_api/{asked}", timeout=20).status_code in {400, 403}


def test_it_is_a_page_and_no_second_api(url):
    info = requests.get(f"{url}en/gradio_api/info", timeout=20).json()

    assert info == {"named_endpoints": {}, "unnamed_endpoints": {}}
    for path in ("docs", "openapi.json", "en/docs", "en/gradio_api/mcp/"):
        assert requests.get(f"{url}{path}", timeout=20).status_code == 404


def test_neither_page_nor_log_has_the_key_or_where_it_lies(url, folder):
    for path in ("en/", "en/config", "zh/config"):
        text = requests.get(f"{url}{path}", timeout=20).text
        assert KEY not in text
        assert str(folder) not in text
    assert KEY not in (folder / "ui.log").read_text()


def test_another_sites_page_is_refused(url):
    answer = requests.post(
        f"{url}en/gradio_api/queue/join", headers={"origin": "http://evil.example"}, timeout=20
    )

    assert answer.status_code == 403
