"""Every kind of receiver, set up against one scripted server, and how its vendor says yes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alerts.sender import Sender
from alerts.senders.build import build
from alerts.settings import AlertSettings
from tests.alerts.make import Clock
from tests.alerts.vendor import Reply, Vendor, says

SECRET = "SEC-0123456789abcdef"
TOKEN = "1111:token-of-the-bot"
PATH_TOKEN = "hook-token-9f8e7d"


@dataclass(frozen=True)
class Kind:
    """`settings` are added to name, type and url; `yes` is the vendor's success."""

    yes: Reply
    settings: Callable[[Vendor, Path], dict[str, Any]]


def _url(vendor: Vendor, folder: Path) -> dict[str, Any]:
    return {"url": vendor.url(f"/{PATH_TOKEN}")}


def _signed(vendor: Vendor, folder: Path) -> dict[str, Any]:
    return {**_url(vendor, folder), "secret_file": secret(folder, SECRET)}


def secret(folder: Path, text: str) -> str:
    path = folder / f"secret-{abs(hash(text))}"
    path.write_text(text + "\n")
    return str(path)


KINDS: dict[str, Kind] = {
    "webhook": Kind(Reply(200), _signed),
    "alertmanager": Kind(Reply(200), lambda vendor, _: {"urls": [vendor.url("")]}),
    "slack": Kind(Reply(200, b"ok"), _url),
    "discord": Kind(says({"id": "1"}), _url),
    "teams": Kind(Reply(202), _url),
    "pagerduty": Kind(
        says({"status": "success", "message": "Event processed"}, 202),
        lambda vendor, folder: {
            "url": vendor.url("/v2/enqueue"),
            "routing_key_file": secret(folder, "R" * 32),
        },
    ),
    "feishu": Kind(says({"code": 0, "msg": "success"}), _signed),
    "lark": Kind(says({"StatusCode": 0, "StatusMessage": "success"}), _signed),
    "dingtalk": Kind(
        says({"errcode": 0, "errmsg": "ok"}),
        lambda vendor, folder: {
            "url": vendor.url(f"/robot/send?access_token={PATH_TOKEN}"),
            "secret_file": secret(folder, SECRET),
            "keyword": "rankguard",
            "at_mobiles": ["13800000000"],
        },
    ),
    "wecom": Kind(
        says({"errcode": 0, "errmsg": "ok"}),
        lambda vendor, folder: {
            "url": vendor.url(f"/cgi-bin/webhook/send?key={PATH_TOKEN}"),
            "mention": ["ann"],
        },
    ),
    "telegram": Kind(
        says({"ok": True, "result": {"message_id": 1}}),
        lambda vendor, folder: {
            "url": vendor.url(""),
            "token_file": secret(folder, TOKEN),
            "chat_id": "-100123",
        },
    ),
}


def settings_of(kind: str, vendor: Vendor, folder: Path, **more: Any) -> AlertSettings:
    receiver = {
        "name": kind,
        "type": kind,
        "allow_insecure": True,
        "timeout_s": 10,
        **KINDS[kind].settings(vendor, folder),
    }
    common = {
        "timezone": "UTC",
        "external_url": "https://guard.example.com",
        "dashboard_url": "https://grafana.example.com/d/rankguard",
        "runbook_url": "https://docs.example.com/runbooks",
    }
    return AlertSettings.model_validate({"receivers": [receiver], **common, **more})


def sender_of(kind: str, vendor: Vendor, folder: Path, clock: Clock, **more: Any) -> Sender:
    settings = settings_of(kind, vendor, folder, **more)
    return build(settings.receivers[0], settings, clock)
