"""Slack incoming webhooks: a coloured attachment of blocks. PURE."""

from __future__ import annotations

from alerts import cut
from alerts.http import Answer
from alerts.message import Message, Outcome, Verdict
from alerts.retry import judge
from alerts.senders.body import parse
from alerts.senders.post import describe
from alerts.senders.tone import COLOUR, headline
from alerts.words import Story

HEADLINE_CHARS = 1024
SECTION_CHARS = 3000
"""Limit of a section's text in Block Kit."""


class Slack:
    """Slack's format."""

    def body(self, story: Story, message: Message, now: float) -> dict[str, object] | None:
        del message, now
        title = cut.to_chars(headline(story), HEADLINE_CHARS)

        def lines(longest: int) -> str:
            return "\n".join(
                f"*{escape(line.label)}*  {escape(cut.to_chars(line.text, longest))}"
                for line in story.lines
            )

        links = "  ·  ".join(
            f"<{escape_url(link.url)}|{escape(link.label)}>" for link in story.links
        )
        blocks = [
            _section(
                cut.fit(lambda longest: f"*{escape(cut.to_chars(title, longest))}*", SECTION_CHARS)
            ),
            _section(cut.fit(lines, SECTION_CHARS)),
            *([{"type": "context", "elements": [_mrkdwn(links)]}] if links else []),
        ]
        return {
            "text": escape(title),
            "attachments": [
                {"color": COLOUR[story.tone], "fallback": title, "blocks": blocks},
            ],
        }

    def address(self, url: str, now: float) -> str:
        del now
        return url

    def read(self, answer: Answer) -> Outcome | None:
        """`ok` is success; Slack's likes answer with JSON."""
        if judge(answer.status) is not Verdict.DELIVERED:
            return None
        body = parse(answer)
        said_no = body is not None and (body.get("ok") is False or body.get("success") is False)
        if said_no or answer.body.lstrip()[:1] == b"<":
            return Outcome(Verdict.MISCONFIGURED, f"not accepted: {describe(answer)}")
        return None


def escape(text: str) -> str:
    """The three characters that Slack gives a meaning to: no mention can be made with the rest."""
    return cut.clean(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def escape_url(url: str) -> str:
    """A URL inside `<…|…>`."""
    return url.replace("&", "&amp;").replace("<", "%3C").replace(">", "%3E").replace("|", "%7C")


def _mrkdwn(text: str) -> dict[str, object]:
    return {"type": "mrkdwn", "text": cut.to_chars(text, SECTION_CHARS)}


def _section(text: str) -> dict[str, object]:
    return {"type": "section", "text": _mrkdwn(text or "-")}
