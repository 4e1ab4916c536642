"""Microsoft Teams workflows: one Adaptive Card. PURE."""

from __future__ import annotations

import re

from alerts import cut
from alerts.http import Answer
from alerts.message import Message, Outcome, Verdict
from alerts.retry import judge
from alerts.senders.body import parse
from alerts.senders.chat import encode
from alerts.senders.post import describe
from alerts.senders.tone import headline
from alerts.words import Story

BODY_BYTES = 26_000
"""Teams takes 28 KB."""

TEXT_CHARS = 4000

_STYLE = {
    "critical": "attention",
    "warning": "warning",
    "info": "accent",
    "resolved": "good",
    "acknowledged": "default",
    "digest": "default",
}

_FAILED = (b"message delivery failed", b"endpoint returned http error")

_MARKUP = re.compile(r"([\\*_\[\]`#])")


class Teams:
    """The format of the workflow "post to a channel when a webhook request is received"."""

    def body(self, story: Story, message: Message, now: float) -> dict[str, object] | None:
        del message, now
        limit = TEXT_CHARS
        body = _card(story, limit)
        while len(encode(body)) > BODY_BYTES and limit > 50:
            limit //= 2
            body = _card(story, limit)
        return body

    def address(self, url: str, now: float) -> str:
        del now
        return url

    def read(self, answer: Answer) -> Outcome | None:
        """The old connectors answered 200 and told of the failure in the body.

        In their own words only: a workflow may answer with our message, and that is about errors.
        """
        if judge(answer.status) is not Verdict.DELIVERED:
            return None
        body = parse(answer)
        text = answer.body.lower()
        failed = (
            any(words in text for words in _FAILED) if body is None else bool(body.get("error"))
        )
        return Outcome(Verdict.RETRY, describe(answer)) if failed else None


def _card(story: Story, limit: int) -> dict[str, object]:
    facts = [
        {"title": escape(line.label), "value": escape(cut.to_chars(line.text, limit))}
        for line in story.lines
    ]
    title = {
        "type": "TextBlock",
        "text": escape(cut.to_chars(headline(story), 500)),
        "weight": "Bolder",
        "size": "Medium",
        "wrap": True,
    }
    content = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.2",
        "body": [
            {"type": "Container", "style": _STYLE[story.tone], "items": [title]},
            {"type": "FactSet", "facts": facts},
        ],
        "actions": [
            {"type": "Action.OpenUrl", "title": link.label, "url": link.url} for link in story.links
        ],
        "msteams": {"width": "full"},
    }
    return {
        "type": "message",
        "attachments": [
            {
                "contentType": "application/vnd.microsoft.card.adaptive",
                "contentUrl": None,
                "content": content,
            }
        ],
    }


def escape(text: str) -> str:
    """Plain text in the cards' markdown."""
    return _MARKUP.sub(r"\\\1", cut.clean(text))
