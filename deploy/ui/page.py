"""The page in one language: what is where, and which event does what."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import gradio as gr
from gradio.blocks import Block
from gradio.components import Component
from gradio.events import Dependency

from deploy.ui import show
from deploy.ui.blocks import Blocks
from deploy.ui.desk import FOUND, MOST_FOUND, Desk, Place
from deploy.ui.example import EXAMPLES
from deploy.ui.words import Words

AT_ONCE = 8
"""Requests of all visitors at once; more wait their turn in Gradio's queue."""

WAITING = 64
"""Requests that may wait for theirs; the next visitor is told to come back."""

SEARCH_TAB = "search"


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a visitor fills in, in the order of `Desk.rerank`."""

    query: gr.Textbox
    typed: gr.Textbox
    file: gr.File
    instruction: gr.Textbox
    compare: gr.Checkbox
    second: gr.Textbox

    def all(self) -> list[Component]:
        return [
            self.query,
            self.typed,
            self.file,
            self.instruction,
            self.compare,
            self.second,
        ]


@dataclass(frozen=True, slots=True)
class Answers:
    """What `Desk.rerank` fills, in its order."""

    results: gr.HTML
    curl: gr.Code
    python: gr.Code

    def all(self) -> list[Component]:
        return [self.results, self.curl, self.python]


@dataclass(frozen=True, slots=True)
class Searching:
    """The tab that searches: what is looked for, how many, and what was found."""

    wanted: gr.Textbox
    top: gr.Number
    found: gr.HTML

    def all(self) -> list[Component]:
        return [self.wanted, self.top, self.found]


@dataclass(frozen=True, slots=True)
class Parts:
    """All that a change of the language carries over."""

    tabs: gr.Tabs
    inputs: Inputs
    answers: Answers
    searching: Searching


def build(place: Place, words: Words) -> gr.Blocks:
    """The page; nothing is served yet."""
    desk = Desk(place, words)
    page = Blocks(title="rankguard", analytics_enabled=False, delete_cache=(3600, 3600))
    with page:
        top = gr.HTML(show.head(words))
        with gr.Tabs() as tabs:
            with gr.Tab(words.rerank_tab):
                inputs = _inputs(place, words, desk)
                answers = _answers(words, desk, inputs)
            with gr.Tab(words.search_tab, id=SEARCH_TAB):
                searching = _search(words, desk)
        page.queue(max_size=WAITING, default_concurrency_limit=AT_ONCE, api_open=False)
        opened = page.load(
            desk.opened,
            None,
            [top, inputs.instruction, searching.found],
            show_progress="hidden",
            api_visibility="private",
        )
        parts = Parts(tabs, inputs, answers, searching)
        _keep(parts)
        _reopen(desk, opened, parts)
    return page


def _keep(parts: Parts) -> None:
    """A button that nobody sees; `page.js` presses it before it leads to the other language."""
    gr.Button("", visible="hidden", elem_classes="rg-keep").click(
        None,
        [*parts.inputs.all(), parts.searching.wanted, parts.searching.top],
        None,
        js="(...values) => rankguard.keep(values)",
        api_visibility="private",
    )


def _reopen(desk: Desk, opened: Dependency, parts: Parts) -> None:
    """Fill in what the page in the other language held, and ask again what was asked there."""
    inputs, answers, searching = parts.inputs, parts.answers, parts.searching
    text = gr.Textbox(visible=False)

    def fill(kept: str | None, request: gr.Request) -> dict[Block, object]:
        was = desk.kept(kept)
        if was is None:
            return {inputs.query: gr.skip()}
        filled = (was.query, was.typed, was.file or None, was.instruction, was.compare, was.second)
        values: dict[Block, object] = dict(zip(inputs.all(), filled, strict=True))
        values |= {searching.wanted: was.wanted, searching.top: was.top or FOUND}
        if was.asked:
            values |= zip(answers.all(), desk.rerank(*filled, request), strict=True)
        if was.found:
            values[searching.found] = desk.search(was.wanted, was.top)
        if was.searching:
            values[parts.tabs] = gr.update(selected=SEARCH_TAB)
        return values

    opened.then(
        fill,
        [text],
        [parts.tabs, *inputs.all(), *answers.all(), *searching.all()],
        js="() => [rankguard.kept()]",
        show_progress="hidden",
        concurrency_limit=AT_ONCE,
        concurrency_id="ask",
        api_visibility="private",
    )


def _inputs(place: Place, words: Words, desk: Desk) -> Inputs:
    with gr.Row(equal_height=False):
        with gr.Column(scale=2, min_width=300):
            query = gr.Textbox(label=words.query, placeholder=words.query_hint, lines=3)
            instruction = gr.Textbox(
                label=words.instruction, placeholder=words.instruction_hint, lines=2
            )
            _named(place.instructions, words.named, instruction)
            compare = gr.Checkbox(label=words.second)
            with gr.Column(visible=False) as beside:
                second = gr.Textbox(label=words.second_label, lines=2)
                _named(place.instructions, words.named_second, second)
            _on(compare.change, lambda on: gr.update(visible=on), [compare], [beside])
        with gr.Column(scale=3, min_width=300):
            typed, file = _documents(words, desk)
    return Inputs(query, typed, file, instruction, compare, second)


def _named(instructions: dict[str, str], label: str, instruction: gr.Textbox) -> None:
    """A choice that fills in the box; none where the gateway knows no names."""
    if not instructions:
        return
    choices = [(f"@{name}: {text}"[:90], f"@{name}") for name, text in instructions.items()]
    named = gr.Dropdown(choices, label=label, value=None)
    _on(named.input, lambda name: name or "", [named], [instruction])


def _documents(words: Words, desk: Desk) -> tuple[gr.Textbox, gr.File]:
    typed = gr.Textbox(
        label=words.documents, placeholder=words.documents_hint, lines=8, max_lines=16
    )
    file = gr.File(
        show_label=False,
        file_types=[".jsonl", ".ndjson", ".csv", ".tsv", ".txt"],
        height=64,
        elem_classes="rg-file",
    )
    about_file = gr.HTML(show.hint(words.upload))
    _on(file.change, desk.uploaded, [file], [typed, about_file])
    return typed, file


def _answers(words: Words, desk: Desk, inputs: Inputs) -> Answers:
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
            curl = _code("shell")
        with gr.Tab("Python"):
            python = _code("python")
    answers = Answers(results, curl, python)
    _on(button.click, desk.rerank, inputs.all(), answers.all())
    chosen = _on(examples.click, _example, [examples], [inputs.query, inputs.typed, inputs.file])
    _on(chosen.then, desk.rerank, inputs.all(), answers.all())
    return answers


def _search(words: Words, desk: Desk) -> Searching:
    with gr.Row(equal_height=True):
        wanted = gr.Textbox(
            label=words.query, placeholder=words.search_query_hint, lines=2, scale=4
        )
        top = gr.Number(
            label=words.top_k,
            value=FOUND,
            minimum=1,
            maximum=MOST_FOUND,
            precision=0,
            scale=1,
            min_width=90,
        )
    button = gr.Button(words.search, variant="primary", elem_classes="rg-main")
    found = gr.HTML(elem_id="found")
    _on(button.click, desk.search, [wanted, top], [found])
    return Searching(wanted, top, found)


def _code(language: Literal["shell", "python"]) -> gr.Code:
    return gr.Code(
        language=language,
        interactive=False,
        show_label=False,
        show_line_numbers=False,
        # a box that scrolls cannot be scrolled by keys
        wrap_lines=True,
    )


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
