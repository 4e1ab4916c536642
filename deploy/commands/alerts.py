"""`rankguard alerts`: test receivers, see what was sent, silence, acknowledge, explain routes."""

from __future__ import annotations

import getpass
import json
import socket
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from deploy.commands import silences
from deploy.commands.desk import (
    EXIT_BAD,
    EXIT_USAGE,
    Author,
    Comment,
    clock_text,
    fail,
    open_desk,
    show,
)
from deploy.commands.options import ConfigFile, Json, examples

if TYPE_CHECKING:
    from alerts.ledger import Decided
    from alerts.outbox import Entry

NAME = "alerts"
app = typer.Typer(help="Test, list, silence and acknowledge alerts.", no_args_is_help=True)
app.add_typer(silences.app, name=silences.NAME)

PROGRAMS = {"webhook", "alertmanager", "pagerduty"}
"""Receivers that keep incidents open: a test closes what it opened."""


@app.command(
    "test",
    epilog=examples("rankguard alerts test", "rankguard alerts test --receiver oncall --json"),
)
def try_out(
    receiver: Annotated[str, typer.Option("--receiver", "-r", help="default: all of them")] = "",
    config: ConfigFile = None,
    as_json: Json = False,
) -> None:
    """Send a sample of each severity and print what the vendor answered."""
    from alerts.sample import samples
    from alerts.sender import ReceiverError
    from alerts.senders.build import build
    from deploy.config import load

    settings = load(config).alerts
    chosen = [each for each in settings.receivers if receiver in {"", each.name}]
    if not chosen:
        known = ", ".join(each.name for each in settings.receivers) or "none is configured"
        fail(f"there is no receiver {receiver!r}; receivers: {known}", EXIT_USAGE)
    results: list[dict[str, str]] = []
    for each in chosen:
        try:
            sender = build(each, settings, time.time)
        except ReceiverError as error:
            results.append(_result(each.name, "all", "misconfigured", str(error)))
            continue
        close = each.type in PROGRAMS
        for message in samples(each.name, socket.gethostname(), time.time(), close=close):
            outcome = sender.send(message)
            what = f"{message.severity.value} {message.status.value}"
            results.append(_result(each.name, what, outcome.verdict.value, outcome.detail))
            if not as_json:
                print("  ".join(results[-1].values()))
        sender.close()
    if as_json:
        print(json.dumps(results, indent=1, ensure_ascii=False))
    if any(result["verdict"] != "delivered" for result in results):
        raise typer.Exit(EXIT_BAD)


@app.command(
    epilog=examples(
        "rankguard alerts outbox",
        "rankguard alerts outbox --state failed --json",
        "rankguard alerts outbox --retry 3f2a…",
    )
)
def outbox(
    state: Annotated[
        str, typer.Option("--state", help="pending, sent, failed, expired or digested")
    ] = "",
    last: Annotated[int, typer.Option(min=1, help="how many, newest first")] = 50,
    retry: Annotated[str, typer.Option("--retry", metavar="KEY", help="send it again")] = "",
    config: ConfigFile = None,
    as_json: Json = False,
) -> None:
    """List messages: what was sent, what waits, what was given up and why."""
    from alerts.outbox import State

    with open_desk(config) as desk:
        if retry:
            if not desk.retry(retry):
                fail(f"no message {retry} that was given up", EXIT_BAD)
            print("back in line")
            return
        try:
            wanted = State(state) if state else None
        except ValueError:
            fail(f"states are {', '.join(each.value for each in State)}", EXIT_USAGE)
        entries = [_entry(entry) for entry in desk.outbox(wanted, last)]
    if as_json:
        print(json.dumps(entries, indent=1, ensure_ascii=False))
    else:
        columns = ("created_at", "receiver", "state", "status", "alert", "attempts", "detail")
        show(columns, entries, "the outbox is empty")


@app.command(epilog=examples("rankguard alerts decisions", "rankguard alerts decisions --json"))
def decisions(
    last: Annotated[int, typer.Option(min=1, help="how many, newest first")] = 50,
    config: ConfigFile = None,
    as_json: Json = False,
) -> None:
    """List transitions and what was decided on each: why somebody was told, or was not."""
    with open_desk(config) as desk:
        found = [_decided(each) for each in desk.decisions(last)]
    if as_json:
        print(json.dumps(found, indent=1, ensure_ascii=False))
    else:
        show(("at", "alert", "status", "host", "object", "decision"), found, "none yet")


@app.command(
    epilog=examples(
        "rankguard alerts ack 42 -m 'on it'", "rankguard alerts ack --fingerprint 3f2a01"
    )
)
def ack(
    incident: Annotated[int | None, typer.Argument(help="number of the incident")] = None,
    fingerprint: Annotated[str, typer.Option(help="or the alert's fingerprint")] = "",
    author: Author = "",
    comment: Comment = "",
    config: ConfigFile = None,
    as_json: Json = False,
) -> None:
    """Take an incident: it is not repeated and not escalated."""
    if (incident is None) == (not fingerprint):
        fail("name an incident or a fingerprint", EXIT_USAGE)
    with open_desk(config) as desk:
        taken = desk.acknowledge(
            author=author or getpass.getuser(),
            comment=comment,
            incident=incident,
            fingerprint=fingerprint,
        )
    if not taken:
        fail("nothing that fires fits", EXIT_BAD)
    if as_json:
        print(json.dumps([alert.to_json() for alert in taken], indent=1, ensure_ascii=False))
    else:
        for alert in taken:
            print(f"acknowledged: {alert.name} {alert.host} {alert.summary}")


@app.command(
    epilog=examples(
        "rankguard alerts route --labels severity=critical,alertname=GpuLost",
        "rankguard alerts route --labels severity=warning,host=gpu-1 --json",
    )
)
def route(
    labels: Annotated[str, typer.Option("--labels", help="name=value, separated by commas")],
    config: ConfigFile = None,
    as_json: Json = False,
) -> None:
    """Explain where an alert with these labels would go now, and why."""
    from datetime import datetime

    from alerts.route import explain
    from alerts.rules import rules_of
    from deploy.config import load

    pairs = dict(_pair(text) for text in labels.split(",") if text.strip())
    rules = rules_of(load(config).alerts)
    steps = [
        {
            "route": str(step.index + 1),
            "receivers": ", ".join(step.route.receivers),
            "fit": step.fit.value,
            "why": step.why,
        }
        for step in explain(rules.routes, pairs, datetime.now(tz=rules.zone))
    ]
    if as_json:
        print(json.dumps(steps, indent=1, ensure_ascii=False))
    else:
        show(("route", "receivers", "fit", "why"), steps, "there are no receivers")
    if not any(step["fit"] == "matched" for step in steps):
        raise typer.Exit(EXIT_BAD)


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        fail(f"{text!r} is not name=value", EXIT_USAGE)
    return name.strip(), value.strip()


def _result(receiver: str, what: str, verdict: str, detail: str) -> dict[str, str]:
    return {"receiver": receiver, "message": what, "verdict": verdict, "detail": detail}


def _entry(entry: Entry) -> dict[str, Any]:
    message = entry.message
    return {
        "key": message.key,
        "created_at": message.created_at,
        "receiver": message.receiver,
        "state": entry.state.value,
        "status": message.status.value,
        "severity": message.severity.value,
        "alert": message.alerts[0].name if message.alerts else "",
        "alerts": len(message.alerts) + message.left_out,
        "group": message.group,
        "reason": message.reason,
        "attempts": entry.attempts,
        "next_at": entry.next_at,
        "detail": entry.detail,
        "stands_in_for": entry.origin,
    }


def _decided(each: Decided) -> dict[str, Any]:
    alert = each.alert
    return {
        "at": clock_text(alert.at),
        "alert": alert.name,
        "status": alert.status.value,
        "severity": alert.severity.value,
        "host": alert.host,
        "object": alert.replica or alert.gpu_uuid or "",
        "incident": alert.incident,
        "decision": each.decision or "not decided yet",
    }
