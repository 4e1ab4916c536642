"""WeCom (Enterprise WeChat) group robots: markdown. PURE."""

from __future__ import annotations

from collections.abc import Sequence

from alerts import cut
from alerts.http import Answer
from alerts.message import Kind, Message, Outcome
from alerts.model import Severity, Status
from alerts.senders.body import Codes, read_codes
from alerts.senders.tone import headline
from alerts.words import Story

CONTENT_BYTES = 4096
"""Limit of a markdown message in bytes of UTF-8; a Chinese character is three."""

CODES = Codes(
    fields=("errcode",),
    texts=("errmsg",),
    retry={45009: 60.0, 45033: 10.0, -1: 10.0},
    refused=frozenset({40008, 40058, 44004, 45002, 46001}),
)

_COLOUR = {"critical": "warning", "warning": "warning", "info": "info", "resolved": "info"}
"""The three colours that the robot knows are info (green), comment (grey) and warning (orange)."""


class WeCom:
    """The robot's format."""

    def __init__(self, mention: Sequence[str] = ()) -> None:
        self._mention = tuple(mention)

    def body(self, story: Story, message: Message, now: float) -> dict[str, object] | None:
        del now
        loud = (
            message.severity is Severity.CRITICAL
            and message.status is Status.FIRING
            and message.kind is Kind.NOTIFY
        )
        colour = _COLOUR.get(story.tone, "comment")
        title = escape(cut.to_bytes(headline(story), 600))
        head = f'**<font color="{colour}">{title}</font>**\n'
        links = " · ".join(f"[{escape(link.label)}]({link.url})" for link in story.links)
        tail = [links] if links else []
        if loud and self._mention:
            tail.append(" ".join(f"<@{each}>" for each in self._mention))
        ending = "\n" + "\n".join(tail) if tail else ""

        def lines(longest: int) -> str:
            return "\n".join(
                f"> {escape(line.label)}: {escape(cut.to_chars(line.text, longest))}"
                for line in story.lines
            )

        room = CONTENT_BYTES - cut.byte_size(head) - cut.byte_size(ending)
        text = cut.fit(lines, max(0, room), size=cut.byte_size)
        return {"msgtype": "markdown", "markdown": {"content": head + text + ending}}

    def address(self, url: str, now: float) -> str:
        del now
        return url

    def read(self, answer: Answer) -> Outcome | None:
        return read_codes(answer, CODES)


def escape(text: str) -> str:
    """Plain text in the robot's markdown, on one line: no tag, so nobody is mentioned."""
    text = cut.clean(text).replace("\n", " ")
    for char, other in (
        ("<", "＜"),
        (">", "＞"),
        ("[", "［"),
        ("]", "］"),
        ("*", "＊"),
        ("`", "‘"),
    ):
        text = text.replace(char, other)
    return text
