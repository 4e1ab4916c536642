"""What the page's events do: from what a visitor gave to HTML and code, in one language."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

import gradio as gr

from deploy.ui import show
from deploy.ui.answer import after
from deploy.ui.complaint import Cause, Refused, sentence
from deploy.ui.gateway import Gateway
from deploy.ui.kept import Kept, read_kept
from deploy.ui.snippet import Asked, as_curl, as_python
from deploy.ui.upload import BadUpload, Kind, clean, documents_of, read_upload
from deploy.ui.words import Words, upload_sentence

FOUND = 10
MOST_FOUND = 100
"""How many passages a search gives: unless asked otherwise, and at most."""


@dataclass(frozen=True, slots=True)
class Place:
    """What the page needs to know of the configuration.

    Attributes:
        public_url: the gateway as this machine's visitors reach it.
        uploads: the folder where uploaded files lie, and from which alone they are read.
        instructions: names that the gateway knows, with their texts.
    """

    gateway: Gateway
    public_url: str
    uploads: Path
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

    def opened(self) -> tuple[str, dict[str, object], str]:
        """Who answers and what it wants users to know; the instruction's box; can it search."""
        served = self._place.gateway.served()
        if served is None:
            down = sentence(Refused(0, Cause.DOWN), self._words)
            return show.head(self._words, status=down), gr.update(info=None), ""
        enabled = self._place.gateway.has_search()
        search = self._words.search_off if enabled is False else self._words.search_hint
        info = None if served.takes_instruction else self._words.no_instruction
        status = " · ".join(filter(None, (served.model, served.engine)))
        return (
            show.head(self._words, status, served.notice),
            gr.update(info=info),
            show.hint(search),
        )

    def kept(self, text: str | None) -> Kept | None:
        """What the page in the other language held; None when this one was just opened.

        A file that is no upload is none: what is shown as one would be given out.
        """
        was = read_kept(text or "")
        if was is None or not was.file or self._is_upload(Path(was.file)):
            return was
        return replace(was, file="")

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

    def search(self, query: str | None, top: float | None) -> str:
        """The passages' HTML."""
        words = clean(query or "").strip()
        if not words:
            return show.trouble(self._words.no_query)
        try:
            found = self._place.gateway.search(words, max(1, min(int(top or FOUND), MOST_FOUND)))
            return show.found(found, self._words)
        except Refused as refused:
            return show.trouble(self._no_search(refused))

    def _no_search(self, refused: Refused) -> str:
        if refused.status != 404:
            return sentence(refused, self._words)
        if self._place.gateway.has_search():
            return self._words.search_no_index
        return self._words.search_off

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
            show.order(
                after(answer, other),
                self._words,
                f"2 · {second or own}",
                self._words.was_with_first,
            ),
        )

    def _read(self, file: str) -> list[str]:
        path = Path(file)
        # the page looks too; this holds whatever Gradio does
        if not self._is_upload(path):
            raise BadUpload(path.name, Kind.GONE)
        try:
            raw = path.read_bytes()
        except OSError:
            raise BadUpload(path.name, Kind.GONE) from None
        return read_upload(path.name, raw, self._place.max_documents)

    def _is_upload(self, path: Path) -> bool:
        return path.resolve().is_relative_to(self._place.uploads.resolve())

    def _asked(self, question: Question, instruction: str, request: gr.Request) -> Asked:
        return Asked(
            url=as_visited(self._place.public_url, request.headers.get("host", "")),
            query=question.query,
            documents=question.documents,
            instruction=instruction,
            needs_key=self._place.gateway.has_key,
        )


def as_visited(public_url: str, host: str) -> str:
    """The gateway's URL with the name under which the visitor reached this machine."""
    name = urlsplit(f"//{host}").hostname
    url = urlsplit(public_url)
    if not name or url.hostname not in ("0.0.0.0", "::"):
        return public_url
    name = f"[{name}]" if ":" in name else name
    return f"{url.scheme}://{name}:{url.port}"
