"""DingTalk group robots: signed markdown. PURE."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Sequence
from urllib.parse import quote_plus

from alerts import cut
from alerts.http import Answer
from alerts.message import Kind, Message, Outcome
from alerts.model import Severity, Status
from alerts.senders.body import Codes, read_codes
from alerts.senders.tone import headline
from alerts.words import Story

TEXT_BYTES = 15_000
"""The robot takes 20,000 bytes of body."""

TITLE_CHARS = 100

BLOCKED_S = 600.0
"""How long a robot that sent too often is blocked."""

CODES = Codes(
    fields=("errcode",),
    texts=("errmsg",),
    retry={130101: BLOCKED_S, 130102: BLOCKED_S, -1: 10.0},
    refused=frozenset({40035, 43004, 400105, 460101}),
)

_MARKUP = re.compile(r"([\\*_\[\]`#>])")


class DingTalk:
    """The robot's format. `secret` empty: not signed."""

    def __init__(
        self,
        secret: str = "",
        *,
        keyword: str = "",
        at_mobiles: Sequence[str] = (),
        at_all: bool = False,
    ) -> None:
        self._secret = secret
        self._keyword = keyword
        self._at_mobiles = tuple(at_mobiles)
        self._at_all = at_all

    def body(self, story: Story, message: Message, now: float) -> dict[str, object] | None:
        del now
        loud = (
            message.severity is Severity.CRITICAL
            and message.status is Status.FIRING
            and message.kind is Kind.NOTIFY
        )
        title = cut.to_chars(headline(story), TITLE_CHARS)
        links = " · ".join(f"[{escape(link.label)}]({link.url})" for link in story.links)
        tail = [links] if links else []
        if self._keyword:
            tail.append(self._keyword)
        if loud and self._at_mobiles:
            tail.append(" ".join(f"@{number}" for number in self._at_mobiles))
        ending = "\n\n" + "\n\n".join(tail) if tail else ""

        def head(longest: int) -> str:
            lines = [
                f"- **{escape(line.label)}**: {escape(cut.to_chars(line.text, longest))}"
                for line in story.lines
            ]
            return f"#### {escape(title)}\n" + "\n".join(lines)

        room = TEXT_BYTES - cut.json_size(ending)
        text = cut.fit(head, room, size=cut.json_size) + ending
        return {
            "msgtype": "markdown",
            "markdown": {"title": title, "text": text},
            "at": {
                "atMobiles": list(self._at_mobiles) if loud else [],
                "isAtAll": self._at_all and loud,
            },
        }

    def address(self, url: str, now: float) -> str:
        if not self._secret:
            return url
        stamp = int(now * 1000)
        joint = "&" if "?" in url else "?"
        return f"{url}{joint}timestamp={stamp}&sign={sign(self._secret, stamp)}"

    def read(self, answer: Answer) -> Outcome | None:
        return read_codes(answer, CODES)


def sign(secret: str, timestamp_ms: int) -> str:
    """The robot's signature, ready for the URL."""
    text = f"{timestamp_ms}\n{secret}".encode()
    digest = hmac.new(secret.encode(), text, hashlib.sha256).digest()
    return quote_plus(base64.b64encode(digest))


def escape(text: str) -> str:
    """Plain text in the robot's markdown, on one line."""
    return _MARKUP.sub(r"\\\1", cut.clean(text).replace("\n", " "))
