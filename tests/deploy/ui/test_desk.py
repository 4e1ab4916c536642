"""What the page's events give, asked of a real socket."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from deploy.ui.gateway import Gateway
from deploy.ui.words import EN, ZH
from tests.deploy.ui.conftest import FINDINGS
from tests.waiting import free_port

pytest.importorskip("gradio", reason="the extra ui is not installed")

from deploy.ui.desk import Desk, Place

VISITOR = SimpleNamespace(headers={"host": "gpu-1:7860"})
SECRET = "k3y-that-nobody-sees"


def desk(url, words=EN, key_file=None, max_documents=10, uploads="/nowhere"):
    gateway = Gateway(url, key_file, 5.0)
    place = Place(gateway, "http://0.0.0.0:8000", Path(uploads), max_documents, {})
    return Desk(place, words)


def rerank(url, **more):
    given = {"query": "q", "typed": "a\nb", "file": None, "instruction": None}
    given |= {"compare": False, "second": None, "request": VISITOR}
    maker = {name: more.pop(name) for name in ("words", "key_file", "uploads") if name in more}
    return desk(url, **maker).rerank(**{**given, **more})


def test_an_answer_is_shown_with_the_same_as_a_command_and_a_program(service):
    shown, curl, python = rerank(service.url)

    assert shown.index(">b<") < shown.index(">a<")
    assert "curl -s http://gpu-1:8000/v1/rerank" in curl
    assert "'http://gpu-1:8000/v1/rerank'" in python


@pytest.mark.parametrize(
    ("given", "words"),
    [
        pytest.param({"query": "  "}, EN.no_query, id="no query"),
        pytest.param({"query": None}, EN.no_query, id="a box that was never shown"),
        pytest.param({"typed": "\n \n"}, EN.no_documents, id="no documents"),
    ],
)
def test_what_is_missing_is_said_and_nothing_is_asked(service, given, words):
    shown, curl, python = rerank(service.url, **given)

    assert words in shown
    assert (curl, python) == ("", "")
    assert service.got == []


def said(param, message="why not"):
    return {"error": {"message": message, "param": param}}


@pytest.mark.parametrize(
    ("status", "body", "headers", "english", "chinese"),
    [
        (401, said(None), {}, "wants an API key", "API 密钥"),
        (413, said(None), {}, "more than the service takes", "超过"),
        (422, said("documents[1]"), {}, "Document 2 is not accepted: why not", "第 2 条文档"),
        (429, said(None), {"Retry-After": "7"}, "Try again in 7 s", "7 秒后"),
        (503, said(None), {"Retry-After": "3"}, "(why not). Try again in 3 s", "3 秒后"),
        (504, said(None), {}, "in time", "限定时间"),
        (500, b"<script>alert(1)</script>", {}, "status 500", "状态码 500"),
        (200, b"hello", {}, "not rankguard", "不是 rankguard"),
    ],
    ids=["401", "413", "422", "429", "503", "504", "500", "strange"],
)
def test_an_error_of_the_service_is_a_sentence_on_the_page(  # noqa: PLR0917 - a row of the table
    service, status, body, headers, english, chinese
):
    service.status, service.body, service.headers = status, body, headers

    for language, words in ((EN, english), (ZH, chinese)):
        shown, curl, _ = rerank(service.url, words=language)
        assert "rg-trouble" in shown
        assert words in shown
        assert "<script" not in shown
        assert curl


def test_a_service_that_is_down_is_a_sentence_too():
    url = f"http://127.0.0.1:{free_port()}"

    assert EN.down in rerank(url)[0]
    assert EN.down in desk(url).opened()[0]


def test_the_key_is_sent_and_shown_nowhere(service, tmp_path):
    file = tmp_path / "key"
    file.write_text(SECRET)
    results = rerank(service.url, key_file=file)

    assert service.got[0][1]["Authorization"] == f"Bearer {SECRET}"
    assert "$RANKGUARD_API_KEY" in results[1]
    assert not any(SECRET in text for text in results)


def test_two_instructions_are_asked_one_after_the_other(service):
    shown, _, _ = rerank(service.url, instruction="@faq", compare=True, second="other words")

    assert [body["instruction"] for _, _, body in service.got] == ["@faq", "other words"]
    assert shown.count("rg-order") == 2
    assert "same place" in shown


def test_a_file_takes_the_place_of_what_was_typed(service, tmp_path):
    file = tmp_path / "two.jsonl"
    file.write_text('"x"\n{"text": "y\\nz"}\n')

    rerank(service.url, file=str(file), uploads=tmp_path)

    assert service.got[0][2]["documents"] == ["x", "y\nz"]
    shown = desk(service.url, uploads=tmp_path).uploaded(str(file))[1]
    assert "2 documents from two.jsonl" in shown


def test_a_wrong_file_is_told_both_when_it_comes_and_when_it_is_used(service, tmp_path):
    file = tmp_path / "wrong.csv"
    file.write_text("id,text\n1,a\n2\n")

    told = desk(service.url, uploads=tmp_path).uploaded(str(file))[1]
    used = rerank(service.url, file=str(file), uploads=tmp_path)[0]
    for shown in (told, used):
        assert "wrong.csv, line 3: has 1 fields where the header has 2." in shown
    assert service.got == []


@pytest.mark.parametrize(
    "named",
    [
        pytest.param("{outside}/secret.txt", id="a file of the host"),
        pytest.param("{uploads}/../secret.txt", id="a way out"),
        pytest.param("{uploads}/link.txt", id="a link out"),
        pytest.param("{uploads}/gone.txt", id="an upload that was removed"),
        pytest.param("{uploads}", id="the folder"),
        pytest.param("http://127.0.0.1/x.txt", id="a page of the web"),
        pytest.param("", id="nothing"),
    ],
)
def test_only_what_was_uploaded_is_read_whatever_a_browser_says(service, tmp_path, named):
    uploads = tmp_path / "uploads"
    uploads.mkdir()
    (tmp_path / "secret.txt").write_text("a line of this host\n")
    (uploads / "link.txt").symlink_to(tmp_path / "secret.txt")
    file = named.format(outside=tmp_path, uploads=uploads)

    shown = rerank(service.url, file=file, uploads=uploads)[0]

    assert "upload it again" in shown
    assert service.got == []


@pytest.mark.parametrize(
    ("named", "wanted"),
    [
        pytest.param("{uploads}/a.txt", True, id="an upload"),
        pytest.param("{uploads}/../secret.txt", False, id="a file of the host"),
        pytest.param("https://203.0.113.1/a.txt", False, id="a page of the web"),
    ],
)
def test_from_the_other_language_comes_no_file_but_an_upload(service, tmp_path, named, wanted):
    file = named.format(uploads=tmp_path)

    kept = desk(service.url, uploads=tmp_path).kept(json.dumps({"query": "q", "file": file}))

    assert (kept.query, kept.file) == ("q", file if wanted else "")


@pytest.mark.parametrize(("top", "sent"), [(None, 10), (0, 10), (-3, 1), (3, 3), (10**6, 100)])
def test_a_search_asks_for_as_many_as_the_page_allows(service, top, sent):
    service.body = FINDINGS

    desk(service.url).search("q", top)

    assert service.got[0][2]["top"] == sent


def test_a_search_shows_passages(service):
    service.body = FINDINGS

    assert "a.md" in desk(service.url).search("q", 10)


@pytest.mark.parametrize(
    ("statuses", "words"),
    [
        pytest.param([404, 404], EN.search_off, id="not enabled: how to"),
        pytest.param([404, 405], EN.search_no_index, id="enabled, nothing indexed: how to"),
        pytest.param([503], EN.no_capacity.format(why=EN.no_reason), id="busy"),
    ],
)
def test_a_search_that_finds_nothing_to_search_says_how_to_begin(service, statuses, words):
    service.body, service.statuses = {}, statuses

    assert words in desk(service.url).search("q", 10)


def test_a_search_without_words_is_not_asked(service):
    assert EN.no_query in desk(service.url).search(" ", 10)
    assert service.got == []
