"""`rankguard alerts`: test receivers, see what was sent, silence, acknowledge, explain routes."""

from __future__ import annotations

import getpass
import json
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from deploy.commands.columns import columns
from deploy.commands.options import ConfigFile, Json, examples

if TYPE_CHECKING:
    from alerts.desk import Desk
    from alerts.ledger import Decided
    from alerts.outbox import Entry
    from alerts.silence import Silence

NAME = "alerts"
app = typer.Typer(help="Test, list, silence and acknowledge alerts.", no_args_is_help=True)
silence_app = typer.Typer(help="Silences: who wants not to hear of what.", no_args_is_help=True)
app.add_typer(silence_app, name="silence")

EXIT_BAD, EXIT_USAGE = 1, 2
PROGRAMS = {"webhook", "alertmanager", "pagerduty"}
"""Receivers that keep incidents open: a test closes what it opened."""

Author = Annotated[str, typer.Option("--author", help="who orders it; default: the login name")]
Comment = Annotated[str, typer.Option("--comment", "-m", help="why")]


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
        _fail(f"there is no receiver {receiver!r}; receivers: {known}", EXIT_USAGE)
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

    with _desk(config) as desk:
        if retry:
            if not desk.retry(retry):
                _fail(f"no message {retry} that was given up", EXIT_BAD)
            print("back in line")
            return
        try:
            wanted = State(state) if state else None
        except ValueError:
            _fail(f"states are {', '.join(each.value for each in State)}", EXIT_USAGE)
        entries = [_entry(entry) for entry in desk.outbox(wanted, last)]
    if as_json:
        print(json.dumps(entries, indent=1, ensure_ascii=False))
    else:
        columns = ("created_at", "receiver", "state", "status", "alert", "attempts", "detail")
        _table(columns, entries, "the outbox is empty")


@app.command(epilog=examples("rankguard alerts decisions", "rankguard alerts decisions --json"))
def decisions(
    last: Annotated[int, typer.Option(min=1, help="how many, newest first")] = 50,
    config: ConfigFile = None,
    as_json: Json = False,
) -> None:
    """List transitions and what was decided on each: why somebody was told, or was not."""
    with _desk(config) as desk:
        found = [_decided(each) for each in desk.decisions(last)]
    if as_json:
        print(json.dumps(found, indent=1, ensure_ascii=False))
    else:
        _table(("at", "alert", "status", "host", "object", "decision"), found, "none yet")


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
        _fail("name an incident or a fingerprint", EXIT_USAGE)
    with _desk(config) as desk:
        taken = desk.acknowledge(
            author=author or getpass.getuser(),
            comment=comment,
            incident=incident,
            fingerprint=fingerprint,
        )
    if not taken:
        _fail("nothing that fires fits", EXIT_BAD)
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
        _table(("route", "receivers", "fit", "why"), steps, "there are no receivers")
    if not any(step["fit"] == "matched" for step in steps):
        raise typer.Exit(EXIT_BAD)


@silence_app.command(
    "add",
    epilog=examples(
        "rankguard alerts silence add host=gpu-1 --for 2h -m 'moving the rack'",
        "rankguard alerts silence add 'alertname=~Gpu.*' severity=warning --for 30m -m 'new fans'",
        "rankguard alerts silence add --maintenance --for 1h -m 'driver update'",
    ),
)
def silence_add(
    matchers: Annotated[list[str] | None, typer.Argument(help="all must match")] = None,
    duration: Annotated[str, typer.Option("--for", help="90s, 30m, 2h, 1d")] = "1h",
    comment: Comment = "",
    author: Author = "",
    maintenance: Annotated[
        bool, typer.Option("--maintenance", help="all alerts; needs no matcher")
    ] = False,
    config: ConfigFile = None,
    as_json: Json = False,
) -> None:
    """Mute new alerts for a time. What was already told still gets its end."""
    from alerts.desk import SilenceRequest
    from alerts.labels import MatcherError
    from alerts.orders import TooManySilences
    from alerts.silence import SilenceError, parse_duration

    with _desk(config) as desk:
        try:
            made = desk.silence(
                SilenceRequest(
                    matchers=matchers or [],
                    duration_s=parse_duration(duration),
                    author=author or getpass.getuser(),
                    comment=comment,
                    maintenance=maintenance,
                )
            )
        except (MatcherError, SilenceError, TooManySilences) as error:
            _fail(str(error), EXIT_USAGE)
    if as_json:
        print(json.dumps(made.to_json(), indent=1, ensure_ascii=False))
    else:
        print(f"{made.id} until {_time(made.ends_at)}")


@silence_app.command("list", epilog=examples("rankguard alerts silence list --all --json"))
def silence_list(
    every: Annotated[bool, typer.Option("--all", help="those that ended, too")] = False,
    config: ConfigFile = None,
    as_json: Json = False,
) -> None:
    """List silences, the one that ends first at the top."""
    with _desk(config) as desk:
        found = desk.silences(ended=every)
    if as_json:
        print(json.dumps([each.to_json() for each in found], indent=1, ensure_ascii=False))
        return
    columns = ("id", "until", "matchers", "author", "comment")
    _table(columns, [_silence(each) for each in found], "there are no silences")


@silence_app.command("expire", epilog=examples("rankguard alerts silence expire 3f2a01bc"))
def silence_expire(
    silence_id: Annotated[str, typer.Argument(metavar="ID", help="or its beginning")],
    config: ConfigFile = None,
) -> None:
    """End a silence now."""
    with _desk(config) as desk:
        if not desk.expire_silence(silence_id):
            _fail(f"not exactly one silence in force begins with {silence_id}", EXIT_BAD)
    print("expired")


@contextmanager
def _desk(config: Path | None) -> Iterator[Desk]:
    """The tables of the configured state directory; the watchdog need not run."""
    from alerts.database import Database
    from alerts.desk import Desk
    from deploy.config import load

    path = load(config).service.state_dir / "journal.db"
    if not path.is_file():
        _fail(f"there is no journal yet: {path}", EXIT_BAD)
    database = Database(path)
    try:
        if not database.durable:
            _fail(f"{path} cannot be written: {database.notice}", EXIT_BAD)
        yield Desk(database, time.time)
    finally:
        database.close()


def _fail(message: str, code: int) -> NoReturn:
    print(message, file=sys.stderr)
    raise typer.Exit(code)


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        _fail(f"{text!r} is not name=value", EXIT_USAGE)
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
        "at": _time(alert.at),
        "alert": alert.name,
        "status": alert.status.value,
        "severity": alert.severity.value,
        "host": alert.host,
        "object": alert.replica or alert.gpu_uuid or "",
        "incident": alert.incident,
        "decision": each.decision or "not decided yet",
    }


def _silence(silence: Silence) -> dict[str, Any]:
    return {
        "id": silence.id,
        "until": _time(silence.ends_at),
        "matchers": " ".join(str(each) for each in silence.matchers) or "everything (maintenance)",
        "author": silence.author,
        "comment": silence.comment,
    }


def _time(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))


def _table(names: tuple[str, ...], rows: list[dict[str, Any]], empty: str) -> None:
    from rich.console import Console
    from rich.markup import escape

    if not rows:
        print(empty)
        return
    table = columns(name.removesuffix("_at") for name in names)
    for row in rows:
        cells = (
            _time(row[name]) if name.endswith("_at") else escape(str(row[name])) for name in names
        )
        table.add_row(*cells)
    Console().print(table)
