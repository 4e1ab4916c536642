"""Builds the sender that a receiver's settings describe: the only place that knows all of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from alerts.http import HttpClient, HttpPolicy
from alerts.phrases import phrases_of
from alerts.receivers import (
    AlertmanagerReceiver,
    AppriseReceiver,
    DingTalkReceiver,
    DiscordReceiver,
    EmailReceiver,
    FeishuReceiver,
    MemoryReceiver,
    PagerDutyReceiver,
    Receiver,
    SlackReceiver,
    TeamsReceiver,
    TelegramReceiver,
    WebhookReceiver,
    WeComReceiver,
)
from alerts.sender import ReceiverError, Sender
from alerts.senders.alertmanager import AlertmanagerSender, AlertmanagerTarget, basic
from alerts.senders.apprise import AppriseSender, make_notifier
from alerts.senders.chat import ChatSender, Dialect
from alerts.senders.dingtalk import DingTalk
from alerts.senders.discord import Discord
from alerts.senders.email import EmailSender, EmailTarget
from alerts.senders.feishu import Feishu
from alerts.senders.memory import MemorySender
from alerts.senders.pagerduty import PagerDuty
from alerts.senders.slack import Slack
from alerts.senders.teams import Teams
from alerts.senders.telegram import Telegram
from alerts.senders.template import load_template
from alerts.senders.webhook import WebhookSender, WebhookTarget
from alerts.senders.wecom import WeCom
from alerts.settings import AlertSettings
from alerts.words import Author, Links
from alerts.zone import zone_of

Clock = Callable[[], float]


class SecretError(ReceiverError):
    """A secret's file cannot be read or is empty; names the file and never what it holds."""


def build(receiver: Receiver, settings: AlertSettings, clock: Clock) -> Sender:
    """The sender for `receiver`.

    Raises:
        SecretError: a file with a secret cannot be read.
        alerts.senders.apprise.AppriseMissing: the package is not installed.
        alerts.senders.template.TemplateError: the webhook's template cannot be used.
    """
    if isinstance(receiver, MemoryReceiver):
        return MemorySender()
    author = author_of(settings)
    if isinstance(receiver, EmailReceiver):
        return EmailSender(_email(receiver), author, clock)
    if isinstance(receiver, AppriseReceiver):
        notifier = make_notifier(read_secret(receiver.url_file).splitlines())
        return AppriseSender(notifier, author, receiver.timeout_s)
    http = HttpClient(policy_of(receiver, settings))
    if isinstance(receiver, WebhookReceiver):
        return WebhookSender(_webhook(receiver, settings), http, clock)
    if isinstance(receiver, AlertmanagerReceiver):
        return AlertmanagerSender(_alertmanager(receiver, settings), http, clock)
    url, dialect, hide = _dialect(receiver)
    return ChatSender(url, dialect, author, http, clock, hide=hide)


def author_of(settings: AlertSettings) -> Author:
    """Who writes the messages: language, links and time zone."""
    return Author(
        phrases_of(settings.language, settings.words),
        Links(settings.external_url, settings.dashboard_url, settings.runbook_url),
        zone_of(settings.timezone),
    )


HttpReceiver = (
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
)

ChatReceiver = (
    SlackReceiver
    | DiscordReceiver
    | TeamsReceiver
    | PagerDutyReceiver
    | FeishuReceiver
    | DingTalkReceiver
    | WeComReceiver
    | TelegramReceiver
)


def policy_of(receiver: HttpReceiver, settings: AlertSettings) -> HttpPolicy:
    """What the receiver's requests may do."""
    return HttpPolicy(
        allow_insecure=receiver.allow_insecure,
        allow_hosts=settings.allow_hosts,
        ca_file=receiver.ca_file,
        proxy=receiver.proxy,
        timeout_s=receiver.timeout_s,
    )


def _dialect(  # noqa: PLR0911 one for each kind
    receiver: ChatReceiver,
) -> tuple[str, Dialect, tuple[str, ...]]:
    """URL, format, and the secrets that no report may show."""
    if isinstance(receiver, PagerDutyReceiver):
        key = read_secret(receiver.routing_key_file)
        return receiver.url, PagerDuty(key), (key,)
    if isinstance(receiver, TelegramReceiver):
        token = read_secret(receiver.token_file)
        dialect = Telegram(token, receiver.chat_id, receiver.thread_id)
        return receiver.url, dialect, (token,)
    url = receiver.url or read_secret(receiver.url_file)
    if isinstance(receiver, SlackReceiver):
        return url, Slack(), ()
    if isinstance(receiver, DiscordReceiver):
        return url, Discord(), ()
    if isinstance(receiver, TeamsReceiver):
        return url, Teams(), ()
    if isinstance(receiver, WeComReceiver):
        return url, WeCom(receiver.mention), ()
    secret = read_secret(receiver.secret_file) if receiver.secret_file else ""
    if isinstance(receiver, FeishuReceiver):
        return url, Feishu(secret), (secret,)
    robot = DingTalk(
        secret,
        keyword=receiver.keyword,
        at_mobiles=receiver.at_mobiles,
        at_all=receiver.at_all,
    )
    return url, robot, (secret,)


def _webhook(receiver: WebhookReceiver, settings: AlertSettings) -> WebhookTarget:
    secret_headers = {name: read_secret(path) for name, path in receiver.headers_files.items()}
    template = load_template(receiver.template_file) if receiver.template_file else None
    return WebhookTarget(
        url=receiver.url or read_secret(receiver.url_file),
        secret=read_secret(receiver.secret_file) if receiver.secret_file else "",
        headers=tuple({**receiver.headers, **secret_headers}.items()),
        content_type=receiver.content_type,
        external_url=settings.external_url,
        runbook_url=settings.runbook_url,
        template=template,
        hide=tuple(secret_headers.values()),
    )


def _alertmanager(receiver: AlertmanagerReceiver, settings: AlertSettings) -> AlertmanagerTarget:
    authorization = ""
    if receiver.bearer_file:
        authorization = f"Bearer {read_secret(receiver.bearer_file)}"
    elif receiver.password_file:
        authorization = basic(receiver.username, read_secret(receiver.password_file))
    return AlertmanagerTarget(
        urls=receiver.urls,
        resend_s=receiver.resend_s,
        authorization=authorization,
        external_url=settings.external_url,
        runbook_url=settings.runbook_url,
    )


def _email(receiver: EmailReceiver) -> EmailTarget:
    return EmailTarget(
        server=receiver.server,
        port=receiver.port,
        tls=receiver.tls,
        sender=receiver.sender,
        to=receiver.to,
        username=receiver.username,
        password=read_secret(receiver.password_file) if receiver.password_file else "",
        ca_file=receiver.ca_file,
        timeout_s=receiver.timeout_s,
    )


def read_secret(path: Path | None) -> str:
    """The file's text without surrounding white space.

    Raises:
        SecretError: it cannot be read or is empty.
    """
    if path is None:
        raise SecretError("no file is named")
    try:
        text = path.read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        raise SecretError(f"{path}: {type(error).__name__}") from None
    if not text:
        raise SecretError(f"{path}: the file is empty")
    return text
