"""Builds the sender that a receiver's settings describe."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from alerts.http import HttpClient, HttpPolicy
from alerts.sender import Sender
from alerts.senders.memory import MemorySender
from alerts.senders.webhook import WebhookSender, WebhookTarget
from alerts.settings import AlertSettings, MemoryReceiver, Receiver


class SecretError(Exception):
    """A secret's file cannot be read or is empty; names the file and never what it holds."""


def build(receiver: Receiver, settings: AlertSettings, clock: Callable[[], float]) -> Sender:
    """The sender for `receiver`.

    Raises:
        SecretError: a file with a secret cannot be read.
    """
    if isinstance(receiver, MemoryReceiver):
        return MemorySender()
    http = HttpClient(
        HttpPolicy(
            allow_insecure=receiver.allow_insecure,
            allow_hosts=settings.allow_hosts,
            ca_file=receiver.ca_file,
            proxy=receiver.proxy,
            timeout_s=receiver.timeout_s,
        )
    )
    target = WebhookTarget(
        url=receiver.url or read_secret(receiver.url_file),
        secret=read_secret(receiver.secret_file) if receiver.secret_file else "",
        headers=tuple(receiver.headers.items()),
        external_url=settings.external_url,
    )
    return WebhookSender(target, http, clock)


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
