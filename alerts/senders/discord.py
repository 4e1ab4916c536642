"""Discord webhooks: one embed. PURE."""

from __future__ import annotations

import re

from alerts import cut
from alerts.http import Answer
from alerts.message import Message, Outcome, Verdict
from alerts.senders.body import parse, seconds
from alerts.senders.post import describe, retry_after
from alerts.senders.tone import COLOUR, headline
from alerts.words import Story

TITLE_CHARS = 256
DESCRIPTION_CHARS = 4096
LINKS_CHARS = 1000

_MARKUP = re.compile(r"([\\*_~`|>\[\]()#-])")


class Discord:
    """Discord's format."""

    def body(self, story: Story, message: Message, now: float) -> dict[str, object] | None:
        del message, now
        title = cut.to_utf16(headline(story), TITLE_CHARS)
        links = " · ".join(f"[{escape(link.label)}]({link.url})" for link in story.links)
        ending = f"\n{links}" if links and len(links) <= LINKS_CHARS else ""

        def lines(longest: int) -> str:
            return "\n".join(
                f"**{escape(line.label)}**: {escape(cut.to_chars(line.text, longest))}"
                for line in story.lines
            )

        room = DESCRIPTION_CHARS - cut.utf16_size(ending)
        embed = {
            "title": title,
            "color": int(COLOUR[story.tone][1:], 16),
            "description": cut.fit(lines, room, size=cut.utf16_size) + ending,
        }
        return {"allowed_mentions": {"parse": []}, "embeds": [embed]}

    def address(self, url: str, now: float) -> str:
        """With `wait=true` Discord answers after it has stored the message, not before."""
        del now
        return url if "wait=" in url else f"{url}{'&' if '?' in url else '?'}wait=true"

    def read(self, answer: Answer) -> Outcome | None:
        """The time to wait is in the body as well, with fractions."""
        if answer.status != 429:
            return None
        wait_s = seconds((parse(answer) or {}).get("retry_after"))
        if wait_s is None:
            wait_s = retry_after(answer)
        return Outcome(Verdict.RETRY, describe(answer), wait_s)


def escape(text: str) -> str:
    """Plain text in Discord's markdown."""
    return _MARKUP.sub(r"\\\1", cut.clean(text))
