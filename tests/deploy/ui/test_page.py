"""The page in Debian's Chromium, before a real stack with the embedded model."""

from __future__ import annotations

import json
import subprocess
from urllib.parse import urlsplit

import pytest

from deploy.ui.example import EXAMPLES
from tests.deploy.ui.browser import CHROMIUM, DESK, FLAGS, PHONE, START_S, answers, opened
from tests.e2e.stack import stack
from tests.waiting import free_port, until

pytest.importorskip("gradio", reason="the extra ui is not installed")
api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
if CHROMIUM is None:
    pytest.skip("chromium is not here (apt package chromium)", allow_module_level=True)

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.timeout(400)]

MORE = """
[service.instructions]
faq = "Find the answer to a question"
[service.search]
enabled = true
"""
WAIT_MS = 60_000


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    port = free_port()
    environ = {"RANKGUARD_UI__ENABLED": "true", "RANKGUARD_UI__PORT": str(port)}
    folder = tmp_path_factory.mktemp("ui")
    with stack(folder, engine="embedded", more=MORE, environment=environ) as started:
        started.page = f"http://127.0.0.1:{port}/"
        started.start("up", "up")
        started.wait_ready(limit_s=START_S)
        until("the page opens", lambda: answers(started.page), START_S)
        yield started


@pytest.fixture(scope="module")
def chromium():
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium, running):
    """Opens the page as a visitor with some screen and language."""
    contexts = []

    def go(**how):
        context = chromium.new_context(**{"viewport": DESK, "locale": "en-US", **how})
        context.set_default_timeout(WAIT_MS)
        contexts.append(context)
        return opened(context.new_page(), running.page)

    yield go
    for context in contexts:
        context.close()


def choose(page, name):
    page.get_by_role("button", name=name, exact=True).click()
    page.locator(".rg-row").first.wait_for()


def ask(page, query, documents):
    page.get_by_label("Query").fill(query)
    page.get_by_label("Documents, one a line").fill("\n".join(documents))
    page.get_by_role("button", name="Rerank", exact=True).click()
    page.locator(".rg-row").nth(len(documents) - 1).wait_for()


def texts(page):
    return page.locator(".rg-text").all_inner_texts()


def test_the_articles_question_puts_english_and_chinese_first_then_japanese_then_german(visit):
    page = visit()
    choose(page, EXAMPLES[0].name)

    german, japanese, english, chinese = EXAMPLES[0].documents
    assert set(texts(page)[:2]) == {english, chinese}
    assert texts(page)[2:] == [japanese, german]
    assert "▼3 was 1" in page.locator(".rg-row").last.inner_text()
    facts = page.locator(".rg-facts").inner_text()
    for word in ("multilingual-e5-small", "tokens", "waited", "scored", "in all"):
        assert word in facts


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_in_every_example_the_two_right_documents_come_first(running, example):
    documents = list(example.documents)
    results = running.rerank(query=example.query, documents=documents).json()["results"]

    assert {item["index"] for item in results[:2]} == {2, 3}


def test_bars_are_as_long_as_the_scores(visit):
    page = visit()
    choose(page, EXAMPLES[0].name)
    row = page.locator(".rg-row").last
    whole, bar = (row.locator(at).bounding_box()["width"] for at in (".rg-bar", ".rg-bar i"))

    assert bar / whole == pytest.approx(float(row.locator(".rg-score").inner_text()), abs=0.03)


def test_the_page_asks_no_host_but_its_own_and_reports_no_error(visit, chromium, running):
    context = chromium.new_context(viewport=DESK)
    page = context.new_page()
    asked, wrong = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
    opened(page, running.page)
    choose(page, EXAMPLES[1].name)
    page.get_by_role("button", name="The same as a command").click()
    page.get_by_role("tab", name="Python").click()
    page.locator(".cm-content:visible").wait_for()
    context.close()

    hosts = {urlsplit(url).netloc for url in asked if urlsplit(url).scheme in {"http", "https"}}
    assert hosts == {urlsplit(running.page).netloc}
    assert len(asked) > 20
    assert wrong == []


def test_ctrl_enter_reranks_from_any_box_and_tab_leads_through_them_in_order(visit):
    page = visit()
    page.get_by_label("Query").fill("how do I reset my password")
    seen = []
    for _ in range(12):
        page.keyboard.press("Tab")
        seen.append(page.evaluate("document.activeElement.closest('.block')?.innerText ?? ''"))
        if "Documents" in seen[-1]:
            break
    page.keyboard.type("a ferry to the island\nto reset your password, open settings")
    page.keyboard.press("Control+Enter")
    page.locator(".rg-row").nth(1).wait_for()

    order = [next((n for n, text in enumerate(seen) if label in text), -1) for label in LABELS]
    assert -1 not in order
    assert order == sorted(order)
    assert texts(page)[0].startswith("to reset")
    assert "\n\n" not in page.get_by_label("Documents, one a line").input_value()


FOCUS = """() => {
  const focused = document.activeElement, style = getComputedStyle(focused);
  return [focused.tagName, style.outlineStyle, parseFloat(style.outlineWidth)];
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_whoever_goes_by_keyboard_sees_where_they_are(visit, scheme):
    page = visit(color_scheme=scheme)
    page.get_by_label("Compare with").check()
    page.get_by_label("Second instruction", exact=True).wait_for()
    page.locator("h1").click()
    seen = set()
    for _ in range(40):
        page.keyboard.press("Tab")
        name, style, width = page.evaluate(FOCUS)
        if name == "BODY":
            break
        seen.add(name)
        assert (name, style) != (name, "none")
        assert width >= 2, name
    assert seen >= {"A", "BUTTON", "INPUT", "TEXTAREA"}


LABELS = ("Instruction (optional)", "Named instructions", "Compare with", "Documents")


def test_a_phone_shows_it_all_without_scrolling_sideways(visit):
    page = visit(viewport=PHONE, has_touch=True, is_mobile=True)
    for action in (lambda: None, lambda: choose(page, EXAMPLES[0].name), lambda: compare(page)):
        action()
        assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
        widest = "Math.max(...[...document.querySelectorAll('main *')].map(e => e.clientWidth))"
        assert page.evaluate(widest) <= PHONE["width"]


def test_the_page_is_as_wide_when_it_is_empty_as_with_an_answer(visit):
    page = visit()
    before = page.locator("main").first.bounding_box()["width"]
    choose(page, EXAMPLES[0].name)

    assert before == page.locator("main").first.bounding_box()["width"]
    assert before > DESK["width"] * 0.8


def compare(page):
    page.get_by_label("Compare with a second instruction").check()
    page.get_by_role("button", name="Rerank", exact=True).click()
    page.locator(".rg-order").nth(1).wait_for()


def test_two_instructions_stand_side_by_side(visit):
    page = visit()
    choose(page, EXAMPLES[2].name)
    page.get_by_label("Named instructions").click()
    page.get_by_role("option", name="@faq").click()
    until("it is filled in", lambda: page.get_by_label("Instruction (optional)").input_value())
    compare(page)
    left, right = (page.locator(".rg-order").nth(n) for n in (0, 1))

    assert "1 · @faq" in left.inner_text()
    assert "2 · the engine's own" in right.inner_text()
    assert left.bounding_box()["y"] == right.bounding_box()["y"]
    assert "takes no instruction" in page.locator("main").inner_text()


def test_the_browsers_language_counts_and_the_switch_changes_it(visit):
    page = visit(locale="zh-CN")

    assert page.get_by_role("button", name="重排序").is_visible()
    page.wait_for_function("document.documentElement.lang === 'zh'")

    page.get_by_role("link", name="English").click()
    page.get_by_role("button", name="Rerank", exact=True).wait_for()
    page.wait_for_function("document.documentElement.lang === 'en'")


def switch(page, name, code):
    page.get_by_role("link", name=name).click()
    page.wait_for_url(f"**/{code}/")
    page.locator(".rg-status > *").first.wait_for()


def test_a_change_of_the_language_loses_nothing_of_what_was_typed_and_seen(visit):
    page = visit()
    choose(page, EXAMPLES[1].name)
    page.get_by_label("Instruction (optional)").fill("@faq")
    page.get_by_label("Compare with").check()
    page.get_by_label("Second instruction", exact=True).fill('find "code"\n第二')
    page.get_by_role("button", name="Rerank", exact=True).click()
    page.locator(".rg-order").nth(1).wait_for()
    order = texts(page)

    switch(page, "中文", "zh")
    page.locator(".rg-order").nth(1).wait_for()

    assert page.url.endswith("/zh/")
    assert texts(page) == order
    assert "词元" in page.locator(".rg-facts").first.inner_text()
    assert page.get_by_label("查询").first.input_value() == EXAMPLES[1].query
    assert page.get_by_label("文档，每行一条").input_value() == "\n".join(EXAMPLES[1].documents)
    assert page.get_by_label("指令（可选）").input_value() == "@faq"
    assert page.get_by_label("第二条指令", exact=True).input_value() == 'find "code"\n第二'

    switch(page, "English", "en")
    page.locator(".rg-order").nth(1).wait_for()
    assert page.get_by_label("Second instruction", exact=True).input_value() == 'find "code"\n第二'
    page.reload()
    page.locator(".rg-status > *").first.wait_for()
    assert page.get_by_label("Query").first.input_value() == ""


def test_an_uploaded_file_and_an_open_search_survive_a_change_of_the_language_too(visit):
    page = visit()
    page.get_by_label("Query").fill("how do I reset my password")
    upload(page, "faq.jsonl", '"a ferry"\n"to reset your password\\nopen"\n')
    page.get_by_text("2 documents from faq.jsonl").wait_for()
    page.get_by_role("tab", name="Search").click()
    page.get_by_label("Query").last.fill("a page that is not there")
    page.get_by_label("Results").fill("3")

    switch(page, "中文", "zh")
    page.get_by_text("来自 faq.jsonl 的 2 条文档").wait_for(state="attached")

    assert page.get_by_label("查询").last.input_value() == "a page that is not there"
    assert page.get_by_label("结果数").input_value() == "3"
    page.get_by_role("tab", name="重排序").click()
    assert not page.get_by_label("文档，每行一条").is_visible()
    page.keyboard.press("Control+Enter")
    page.locator(".rg-row").nth(1).wait_for()
    assert texts(page)[0] == "to reset your password\nopen"


NASTY = [
    "<script>window.hurt = 1</script> reset",
    "<img src=x onerror='window.hurt = 2'> **bold** [x](https://outside.example/) # title",
    "${window.hurt = 3} {{7 * 7}} {{#each a}} &amp; <b>",
]


def test_documents_are_shown_as_they_are_and_nothing_in_them_runs(visit):
    page = visit()
    ask(page, "<b>reset</b> ${window.hurt = 4} {{1}}", NASTY)

    assert sorted(texts(page)) == sorted(NASTY)
    assert page.evaluate("window.hurt") is None
    assert page.locator("#results :is(script, img, b, strong, a)").count() == len(
        page.locator("#results .rg-facts b").all()
    )


def test_a_file_of_documents_takes_the_place_of_the_box(visit):
    page = visit()
    page.get_by_label("Query").fill("how do I reset my password")
    page.get_by_label("Documents, one a line").wait_for()
    upload(
        page, "faq.csv", 'id,text\n1,"a ferry, every morning"\n2,"to reset your password\nopen"\n'
    )
    page.get_by_text("2 documents from faq.csv").wait_for()
    assert not page.get_by_label("Documents, one a line").is_visible()
    page.keyboard.press("Control+Enter")
    page.locator(".rg-row").nth(1).wait_for()

    assert texts(page)[0] == "to reset your password\nopen"


def test_a_wrong_file_is_told_with_its_line_and_field(visit):
    page = visit()
    upload(page, "faq.jsonl", '{"text": "a"}\n{"title": "<i>b</i>"}\n')

    page.get_by_text("faq.jsonl, line 2: “text” is missing.").wait_for()


def upload(page, name, text):
    file = {"name": name, "mimeType": "text/plain", "buffer": text.encode()}
    page.locator("input[type=file]").set_input_files(file)


def test_the_command_on_the_page_gives_the_same_order(visit):
    page = visit()
    ask(page, 'how do I reset it\'s "password"', ["a ferry", "reset your $PASSWORD"])
    page.get_by_role("button", name="The same as a command").click()
    page.locator(".cm-content:visible").wait_for()
    command = "\n".join(page.locator(".cm-line:visible").all_inner_texts())
    done = subprocess.run(
        ["sh", "-c", command], capture_output=True, text=True, timeout=30, check=True
    )

    results = json.loads(done.stdout)["results"]
    assert [item["document"]["text"] for item in results] == texts(page)


def test_the_search_tab_says_how_to_begin_and_then_finds_the_passage(visit, running, tmp_path):
    pytest.importorskip("pymilvus", reason="the extra search is not installed")
    page = visit()
    page.get_by_role("tab", name="Search").click()
    page.get_by_label("Query").last.fill("how do I drain a replica?")
    page.keyboard.press("Control+Enter")
    page.get_by_text("Nothing is indexed yet").wait_for()

    (tmp_path / "drain.md").write_text("# Draining\n\nrankguard replica drain replica-0\n")
    (tmp_path / "ferry.md").write_text("# Ferry\n\nThe ferry leaves at nine.\n")
    indexed = running.cli("search", "index", str(tmp_path))
    assert indexed.returncode == 0, indexed.stderr
    page.keyboard.press("Control+Enter")
    first = page.locator("#found .rg-row").first
    first.wait_for()

    assert "drain.md" in first.inner_text()
    assert "candidates 2" in page.locator("#found .rg-facts").inner_text()


def test_nothing_of_gradio_is_left_on_the_page(visit):
    page = visit()

    text = page.locator("body").inner_text().lower()
    for word in ("gradio", "use via api", "settings", "flag"):
        assert word not in text


def test_a_thousand_pasted_lines_are_asked_once_however_often_the_button_is_pressed(visit):
    page = visit(permissions=["clipboard-read", "clipboard-write"])
    asked = []
    page.on("request", lambda one: asked.append(one) if "queue/join" in one.url else None)
    page.get_by_label("Query").fill("w7")
    page.evaluate(
        "text => navigator.clipboard.writeText(text)", "\n".join(f"w{n}" for n in range(1000))
    )
    # not `fill`: Chromium then has an event for each line, as no visitor does
    page.get_by_label("Documents, one a line").press("Control+V")
    page.get_by_role("button", name="Rerank", exact=True).dblclick()
    page.get_by_text("900 more, with lower scores, are not shown.").wait_for()

    assert page.locator(".rg-row").count() == 100
    assert len(asked) == 1


def test_without_a_query_it_says_what_to_do(visit):
    page = visit()
    page.get_by_role("button", name="Rerank", exact=True).click()

    page.get_by_text("Type a query first.").wait_for()
