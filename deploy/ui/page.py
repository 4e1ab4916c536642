"""The page itself in one language: what is where, and which event does what."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from urllib.parse import urlsplit

import gradio as gr
from gradio.components import Component
from gradio.events import Dependency

from deploy.ui import show
from deploy.ui.complaint import Cause, Refused, sentence
from deploy.ui.example import EXAMPLES
from deploy.ui.gateway import Gateway
from deploy.ui.snippet import Asked, as_curl, as_python
from deploy.ui.upload import BadUpload, clean, documents_of, read_upload
from deploy.ui.words import Words, upload_sentence

AT_ONCE = 8
"""Requests of all visitors at once; more wait their turn in Gradio's queue."""


@dataclass(frozen=True, slots=True)
class Place:
    """What the page needs to know of the configuration.

    Attributes:
        public_url: the gateway as this machine's visitors reach it.
        instructions: names that the gateway knows, with their texts.
    """

    gateway: Gateway
    public_url: str
    max_documents: int
    instructions: dict[str, str]


@dataclass(frozen=True, slots=True)
class Question:
    """What the visitor gave, read."""

    query: str
    documents: list[str]


class Incomplete(Exception):
    """Nothing to ask yet; the message is for the visitor."""


class Desk:
    """What the page's events do, in one language."""

    def __init__(self, place: Place, words: Words) -> None:
        self._place = place
        self._words = words

    def opened(self) -> tuple[str, dict[str, object]]:
        """Who answers and what it wants users to know; and the instruction's box."""
        served = self._place.gateway.served()
        if served is None:
            down = sentence(Refused(0, Cause.DOWN), self._words)
            return head(self._words, status=down), gr.update(info=None)
        info = None if served.takes_instruction else self._words.no_instruction
        status = " · ".join(filter(None, (served.model, served.engine)))
        return head(self._words, status, served.notice), gr.update(info=info)

    def uploaded(self, file: str | None) -> tuple[dict[str, object], str]:
        """The box for typing, and a sentence about the file."""
        if file is None:
            return gr.update(visible=True), show.hint(self._words.upload)
        try:
            found = self._read(file)
        except BadUpload as problem:
            return gr.update(visible=True), show.trouble(upload_sentence(problem, self._words))
        said = self._words.uploaded.format(count=len(found), file=Path(file).name)
        return gr.update(visible=False), show.hint(said)

    def rerank(
        self,
        query: str | None,
        typed: str | None,
        file: str | None,
        instruction: str | None,
        compare: bool,
        second: str | None,
        request: gr.Request,
    ) -> tuple[str, str, str]:
        """The results' HTML, and the same request as a command and as a program.

        A box that was never shown gives None.
        """
        first, other = clean(instruction or "").strip(), clean(second or "").strip()
        try:
            question = self._question(query or "", typed or "", file)
        except Incomplete as missing:
            return show.trouble(str(missing)), "", ""
        try:
            shown = self._ordered(question, first, other, compare=compare)
        except Refused as refused:
            shown = show.trouble(sentence(refused, self._words))
        asked = self._asked(question, first, request)
        return shown, as_curl(asked), as_python(asked)

    def _question(self, query: str, typed: str, file: str | None) -> Question:
        if not query.strip():
            raise Incomplete(self._words.no_query)
        try:
            documents = documents_of(typed) if file is None else self._read(file)
        except BadUpload as problem:
            raise Incomplete(upload_sentence(problem, self._words)) from None
        if not documents:
            raise Incomplete(self._words.no_documents)
        return Question(clean(query).strip(), documents)

    def _ordered(self, question: Question, first: str, second: str, *, compare: bool) -> str:
        answer = self._place.gateway.rerank(question.query, question.documents, first)
        if not compare:
            return show.order(answer, self._words)
        other = self._place.gateway.rerank(question.query, question.documents, second)
        own = self._words.default_instruction
        return show.side_by_side(
            show.order(answer, self._words, f"1 · {first or own}"),
            show.order(other, self._words, f"2 · {second or own}"),
        )

    def _read(self, file: str) -> list[str]:
        path = Path(file)
        return read_upload(path.name, path.read_bytes(), self._place.max_documents)

    def _asked(self, question: Question, instruction: str, request: gr.Request) -> Asked:
        return Asked(
            url=_as_visited(self._place.public_url, request.headers.get("host", "")),
            query=question.query,
            documents=question.documents,
            instruction=instruction,
            needs_key=self._place.gateway.has_key,
        )


def _as_visited(public_url: str, host: str) -> str:
    """The gateway's URL with the name under which the visitor reached this machine."""
    name = urlsplit(f"//{host}").hostname
    url = urlsplit(public_url)
    if not name or url.hostname not in ("0.0.0.0", "::"):
        return public_url
    name = f"[{name}]" if ":" in name else name
    return f"{url.scheme}://{name}:{url.port}"


def build(place: Place, words: Words) -> gr.Blocks:
    """The page; nothing is served yet."""
    desk = Desk(place, words)
    page = gr.Blocks(title="rankguard", analytics_enabled=False, delete_cache=(3600, 3600))
    with page:
        top = gr.HTML(head(words))
        with gr.Tabs(), gr.Tab(words.rerank_tab):
            instruction = _rerank_tab(place, words, desk)
        page.load(
            desk.opened,
            None,
            [top, instruction],
            show_progress="hidden",
            api_visibility="private",
        )
    return page


def head(words: Words, status: str = "", notice: str = "") -> str:
    """The page's head: its name, the other language, and who answers."""
    more = ""
    if notice:
        more = f"<details><summary>{escape(status)}</summary>{escape(notice)}</details>"
    elif status:
        more = f"<p>{escape(status)}</p>"
    return (
        f"<header class='rg-head'><h1>rankguard</h1><p>{escape(words.lead)}</p>"
        f"<a href='../{words.other}/' hreflang='{words.other}' lang='{words.other}'>"
        f"{escape(words.other_name)}</a></header><div class='rg-status'>{more}</div>"
    )


def _rerank_tab(place: Place, words: Words, desk: Desk) -> gr.Textbox:
    with gr.Row(equal_height=False):
        with gr.Column(scale=2, min_width=300):
            query = gr.Textbox(
                label=words.query, placeholder=words.query_hint, lines=3, autofocus=True
            )
            instruction = gr.Textbox(
                label=words.instruction, placeholder=words.instruction_hint, lines=2
            )
            if place.instructions:
                named = gr.Dropdown(
                    [
                        (f"@{name}: {text}"[:90], f"@{name}")
                        for name, text in place.instructions.items()
                    ],
                    label=words.named,
                    value=None,
                )
                _on(named.input, lambda name: name or "", [named], [instruction])
            compare = gr.Checkbox(label=words.second)
            second = gr.Textbox(label=words.second_label, lines=2, visible=False)
        with gr.Column(scale=3, min_width=300):
            typed = gr.Textbox(
                label=words.documents, placeholder=words.documents_hint, lines=8, max_lines=16
            )
            about_file = gr.HTML(show.hint(words.upload))
            file = gr.File(
                show_label=False,
                file_types=[".jsonl", ".ndjson", ".csv", ".tsv", ".txt"],
                height=64,
                elem_classes="rg-file",
            )
    examples = gr.Dataset(
        components=[gr.Textbox(visible=False)],
        samples=[[item.name] for item in EXAMPLES],
        label=words.examples,
        type="index",
        samples_per_page=len(EXAMPLES),
        layout="gallery",
    )
    button = gr.Button(words.rerank, variant="primary", elem_classes="rg-main")
    results = gr.HTML(show.hint(words.results_empty), elem_id="results")
    with gr.Accordion(words.as_code, open=False), gr.Tabs():
        with gr.Tab("curl"):
            curl = gr.Code(language="shell", interactive=False, show_label=False, wrap_lines=True)
        with gr.Tab("Python"):
            python = gr.Code(language="python", interactive=False, show_label=False)
    asked = [query, typed, file, instruction, compare, second]
    answered = [results, curl, python]
    _on(compare.change, lambda on: gr.update(visible=on), [compare], [second])
    _on(file.change, desk.uploaded, [file], [typed, about_file])
    _on(button.click, desk.rerank, asked, answered)
    chosen = _on(examples.click, _example, [examples], [query, typed, file])
    _on(chosen.then, desk.rerank, asked, answered)
    return instruction


def _example(index: int) -> tuple[str, str, None]:
    chosen = EXAMPLES[index]
    return chosen.query, "\n".join(chosen.documents), None


def _on(
    event: Callable[..., Dependency],
    action: Callable[..., object],
    given: Sequence[Component],
    gives: Sequence[Component],
) -> Dependency:
    return event(
        action,
        list(given),
        list(gives),
        show_progress="minimal",
        concurrency_limit=AT_ONCE,
        concurrency_id="ask",
        api_visibility="private",
    )
