"""Settings of each kind of receiver: `[[alerts.receivers]]`, told apart by `type`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

_STRICT = ConfigDict(extra="forbid", frozen=True)

OUTAGE_S = 900.0
"""Messages to people that are later than this come as one digest."""


class _Receiver(BaseModel):
    """What every receiver has."""

    model_config = _STRICT

    PER_MINUTE: ClassVar[float] = 60.0
    """Messages a minute; each kind has its vendor's limit, with a margin."""

    BURST: ClassVar[int] = 10

    name: str = Field(
        min_length=1, max_length=60, pattern=r"^[A-Za-z0-9_.-]+$", description="names it in routes"
    )
    fallback: str = Field("", description="receiver that stands in when this one fails")
    fallback_after_s: float = Field(60.0, ge=0, description="how long it may fail before that")
    per_minute: float = Field(0.0, ge=0, description="messages a minute; 0: what the vendor bears")
    digest_after_s: float = Field(
        OUTAGE_S, ge=0, description="later messages come as one; 0: each by itself"
    )

    @property
    def rate(self) -> tuple[float, int]:
        """Messages a minute in the long run, and at once."""
        if self.per_minute:
            return self.per_minute, max(1, min(self.BURST, int(self.per_minute)))
        return self.PER_MINUTE, self.BURST


class _HttpReceiver(_Receiver):
    """What every receiver that speaks HTTP has."""

    allow_insecure: bool = Field(
        False, description="http and private addresses are allowed only when true"
    )
    ca_file: Path | None = Field(None, description="PEM authorities to trust instead of system's")
    proxy: str = Field("", description="URL of an HTTP proxy")
    timeout_s: float = Field(10.0, gt=0, le=60, description="limit of one try")


class _UrlReceiver(_HttpReceiver):
    """A receiver whose URL is its address and often its secret."""

    url: str = Field("", description="where to post")
    url_file: Path | None = Field(None, description="file with the URL, when the URL is a secret")

    @model_validator(mode="after")
    def _one_url(self) -> _UrlReceiver:
        if bool(self.url) == (self.url_file is not None):
            raise ValueError(f"receiver {self.name}: exactly one of url and url_file is needed")
        return self


class WebhookReceiver(_UrlReceiver):
    """Any HTTP endpoint: Alertmanager's version-4 body, signed with HMAC-SHA256."""

    PER_MINUTE = 600.0
    BURST = 50

    type: Literal["webhook"] = "webhook"
    secret_file: Path | None = Field(None, description="file with the signing secret")
    headers: dict[str, str] = Field(default_factory=dict, description="sent with every post")
    headers_files: dict[str, Path] = Field(
        default_factory=dict, description="headers whose values are secrets, each in a file"
    )
    template_file: Path | None = Field(
        None, description="Jinja template for the body instead of Alertmanager's version 4"
    )
    content_type: str = Field("application/json", description="of the body")
    digest_after_s: float = Field(0.0, ge=0, description="0: a program wants each by itself")


class AlertmanagerReceiver(_HttpReceiver):
    """Prometheus Alertmanager, one or all members of a cluster, over its v2 API."""

    PER_MINUTE = 600.0
    BURST = 50

    type: Literal["alertmanager"] = "alertmanager"
    urls: tuple[str, ...] = Field(min_length=1, max_length=10, description="base URLs")
    resend_s: float = Field(60.0, ge=5, le=600, description="what fires is sent again so often")
    watchdog: bool = Field(True, description="send the always-firing Watchdog alert")
    username: str = Field("", description="basic authentication")
    password_file: Path | None = Field(None, description="file with its password")
    bearer_file: Path | None = Field(None, description="file with a bearer token instead")
    digest_after_s: float = Field(0.0, ge=0, le=0, description="always 0")


class SlackReceiver(_UrlReceiver):
    """A Slack incoming webhook. Its limit is about one message a second."""

    PER_MINUTE = 50.0
    BURST = 3

    type: Literal["slack"] = "slack"


class DiscordReceiver(_UrlReceiver):
    """A Discord webhook. Its limit is 30 messages a minute."""

    PER_MINUTE = 25.0
    BURST = 4

    type: Literal["discord"] = "discord"


class TeamsReceiver(_UrlReceiver):
    """A Microsoft Teams workflow ("post to a channel when a webhook request is received")."""

    PER_MINUTE = 60.0
    BURST = 3

    type: Literal["teams"] = "teams"


class PagerDutyReceiver(_HttpReceiver):
    """PagerDuty Events API v2: one incident per conversation."""

    PER_MINUTE = 120.0
    BURST = 20

    type: Literal["pagerduty"] = "pagerduty"
    routing_key_file: Path = Field(description="file with the integration key")
    url: str = Field(
        "https://events.pagerduty.com/v2/enqueue", description="events.eu.… for the EU region"
    )
    digest_after_s: float = Field(0.0, ge=0, le=0, description="always 0: it opens and closes")


class FeishuReceiver(_UrlReceiver):
    """A Feishu or Lark group bot, with a signed card."""

    PER_MINUTE = 80.0
    BURST = 4

    type: Literal["feishu", "lark"] = "feishu"
    secret_file: Path | None = Field(None, description="file with the bot's signing secret")


class DingTalkReceiver(_UrlReceiver):
    """A DingTalk group robot. Over 20 messages a minute it is blocked for ten."""

    PER_MINUTE = 15.0
    BURST = 3

    type: Literal["dingtalk"] = "dingtalk"
    secret_file: Path | None = Field(None, description="file with the robot's signing secret")
    keyword: str = Field(
        "", max_length=30, description="the robot's keyword, put into each message"
    )
    at_mobiles: tuple[str, ...] = Field((), description="phone numbers mentioned when critical")
    at_all: bool = Field(False, description="mention everybody when critical")


class WeComReceiver(_UrlReceiver):
    """A WeCom (Enterprise WeChat) group robot. Its limit is 20 messages a minute."""

    PER_MINUTE = 15.0
    BURST = 3

    type: Literal["wecom"] = "wecom"
    mention: tuple[str, ...] = Field((), description="user ids mentioned when critical")


class TelegramReceiver(_HttpReceiver):
    """A Telegram bot. Its limit in one group is 20 messages a minute."""

    PER_MINUTE = 18.0
    BURST = 3

    type: Literal["telegram"] = "telegram"
    token_file: Path = Field(description="file with the bot's token")
    chat_id: str = Field(min_length=1, description="number of the chat, or @channel")
    thread_id: int | None = Field(None, description="topic within the chat")
    url: str = Field("https://api.telegram.org", description="the API's base URL")


class EmailReceiver(_Receiver):
    """Email over SMTP."""

    PER_MINUTE = 20.0
    BURST = 5

    type: Literal["email"] = "email"
    server: str = Field(min_length=1, description="host name of the SMTP server")
    port: int = Field(587, ge=1, le=65535)
    tls: Literal["starttls", "tls", "none"] = Field(
        "starttls", description="none needs allow_insecure"
    )
    allow_insecure: bool = Field(False, description="allow an unencrypted connection")
    ca_file: Path | None = Field(None, description="PEM authorities to trust instead of system's")
    username: str = ""
    password_file: Path | None = Field(None, description="file with the password")
    sender: str = Field(min_length=3, description="address in From")
    to: tuple[str, ...] = Field(min_length=1, max_length=50, description="addresses in To")
    timeout_s: float = Field(20.0, gt=0, le=60, description="limit of one exchange")

    @model_validator(mode="after")
    def _encrypted(self) -> EmailReceiver:
        if self.tls == "none" and not self.allow_insecure:
            raise ValueError(f'receiver {self.name}: tls = "none" needs allow_insecure = true')
        for address in (self.sender, *self.to):
            if "@" not in address or any(char in address for char in "\r\n"):
                raise ValueError(f"receiver {self.name}: {address!r} is not an address")
        return self


class AppriseReceiver(_Receiver):
    """Anything else, through Apprise; it reports success where the vendor hides a failure."""

    PER_MINUTE = 20.0
    BURST = 3

    type: Literal["apprise"] = "apprise"
    url_file: Path = Field(description="file with Apprise URLs, one a line")
    timeout_s: float = Field(30.0, gt=0, le=60, description="limit of one try")


class MemoryReceiver(_Receiver):
    """Keeps messages in this process: for tests and dry runs."""

    PER_MINUTE = 1e6
    BURST = 1_000_000

    type: Literal["memory"] = "memory"
    digest_after_s: float = Field(0.0, ge=0, description="0: each by itself")


Receiver = Annotated[
    WebhookReceiver
    | AlertmanagerReceiver
    | SlackReceiver
    | DiscordReceiver
    | TeamsReceiver
    | PagerDutyReceiver
    | FeishuReceiver
    | DingTalkReceiver
    | WeComReceiver
    | TelegramReceiver
    | EmailReceiver
    | AppriseReceiver
    | MemoryReceiver,
    Field(discriminator="type"),
]
