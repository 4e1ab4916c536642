"""Feishu and Lark group bots: one signed card. PURE."""

from __future__ import annotations

import base64
import hashlib
import hmac

from alerts import cut
from alerts.http import Answer
from alerts.message import Message, Outcome
from alerts.senders.body import Codes, read_codes
from alerts.senders.tone import headline
from alerts.words import Story

TEXT_BYTES = 15_000
"""The bot takes a body of 20 KB; JSON adds a little to the text."""

_TEMPLATE = {
    "critical": "red",
    "warning": "orange",
    "info": "blue",
    "resolved": "green",
    "acknowledged": "grey",
    "digest": "grey",
}

CODES = Codes(
    fields=("code", "StatusCode"),
    texts=("msg", "StatusMessage"),
    # 11232 and 99991400: too often; 9499 with HTTP 200 is "bad request"
    retry={11232: 30.0, 99991400: 30.0},
    refused=frozenset({9499, 11246, 230025}),
)


class Feishu:
    """The bot's format. `secret` empty: not signed."""

    def __init__(self, secret: str = "") -> None:
        self._secret = secret

    def body(self, story: Story, message: Message, now: float) -> dict[str, object] | None:
        del message
        return self._signed(_card(story), now)

    def address(self, url: str, now: float) -> str:
        del now
        return url

    def read(self, answer: Answer) -> Outcome | None:
        return read_codes(answer, CODES)

    def _signed(self, card: dict[str, object], now: float) -> dict[str, object]:
        body: dict[str, object] = {"msg_type": "interactive", "card": card}
        if self._secret:
            body = {"timestamp": str(int(now)), "sign": sign(self._secret, int(now)), **body}
        return body


def sign(secret: str, timestamp: int) -> str:
    """The bot's signature: the time and the secret are the key, and the message is empty."""
    key = f"{timestamp}\n{secret}".encode()
    return base64.b64encode(hmac.new(key, b"", hashlib.sha256).digest()).decode()


def _card(story: Story) -> dict[str, object]:
    def lines(longest: int) -> str:
        return "\n".join(
            f"**{escape(line.label)}**  {escape(cut.to_chars(line.text, longest))}"
            for line in story.lines
        )

    text = cut.fit(lines, TEXT_BYTES, size=cut.json_size)
    elements: list[dict[str, object]] = [
        {"tag": "div", "text": {"tag": "lark_md", "content": text}}
    ]
    if story.links:
        buttons = [
            {
                "tag": "button",
                "text": {"tag": "plain_text", "content": link.label},
                "url": link.url,
                "type": "default",
            }
            for link in story.links
        ]
        elements.append({"tag": "action", "actions": buttons})
    return {
        "config": {"wide_screen_mode": True},
        "header": {
            "title": {"tag": "plain_text", "content": cut.to_chars(headline(story), 200)},
            "template": _TEMPLATE[story.tone],
        },
        "elements": elements,
    }


def escape(text: str) -> str:
    """Plain text in lark_md: no tag, so nobody is mentioned, and no emphasis."""
    text = cut.clean(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    for char, entity in (("*", "&#42;"), ("~", "&#126;"), ("[", "&#91;"), ("`", "&#96;")):
        text = text.replace(char, entity)
    return text
