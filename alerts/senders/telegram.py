"""Telegram bots: one HTML message. PURE."""

from __future__ import annotations

import html

from alerts import cut
from alerts.http import Answer
from alerts.message import Message, Outcome, Verdict
from alerts.retry import judge
from alerts.senders.body import parse, seconds
from alerts.senders.post import describe, retry_after
from alerts.senders.tone import headline
from alerts.words import Story

TEXT_UNITS = 4096
"""Limit in UTF-16 units. Telegram does not count markup; we do, which is on the safe side."""

TITLE_UNITS = 320
"""Room for the headline with its markup; entities in it are not worth more."""


class Telegram:
    """The bot's format. The token is part of the URL and of nothing else."""

    def __init__(self, token: str, chat_id: str, thread_id: int | None = None) -> None:
        self._token = token
        self._chat_id = chat_id
        self._thread_id = thread_id

    def body(self, story: Story, message: Message, now: float) -> dict[str, object] | None:
        del message, now
        title = cut.to_utf16(headline(story), TITLE_UNITS - 20)
        links = " · ".join(
            f'<a href="{html.escape(link.url)}">{html.escape(link.label)}</a>'
            for link in story.links
        )
        head = f"<b>{html.escape(title, quote=False)}</b>\n"

        def lines(longest: int) -> str:
            return "\n".join(
                f"<b>{html.escape(line.label)}</b>: "
                + html.escape(cut.clean(cut.to_chars(line.text, longest)), quote=False)
                for line in story.lines
            )

        room = TEXT_UNITS - TITLE_UNITS - cut.utf16_size(links)
        text = head + cut.fit(lines, max(0, room), size=cut.utf16_size)
        body: dict[str, object] = {
            "chat_id": self._chat_id,
            "text": text + (f"\n{links}" if links else ""),
            "parse_mode": "HTML",
            "disable_web_page_preview": True,
        }
        if self._thread_id is not None:
            body["message_thread_id"] = self._thread_id
        return body

    def address(self, url: str, now: float) -> str:
        del now
        return f"{url.rstrip('/')}/bot{self._token}/sendMessage"

    def read(self, answer: Answer) -> Outcome | None:
        """`ok` in the body; a chat that is not found is a matter of the settings."""
        body = parse(answer)
        if body is None:
            if judge(answer.status) is Verdict.DELIVERED:
                return Outcome(Verdict.RETRY, f"not Telegram's answer: {describe(answer)}")
            return None
        if body.get("ok") is True:
            return Outcome(Verdict.DELIVERED, "ok")
        text = str(body.get("description", ""))
        parameters = body.get("parameters")
        asked = parameters.get("retry_after") if isinstance(parameters, dict) else None
        wait_s = seconds(asked)
        if wait_s is None:
            wait_s = retry_after(answer)
        verdict = judge(answer.status)
        if verdict is Verdict.DELIVERED:
            verdict = Verdict.RETRY
        if "chat" in text.lower() or "migrated" in text.lower():
            verdict = Verdict.MISCONFIGURED
        return Outcome(verdict, f"HTTP {answer.status} {text}", wait_s)
