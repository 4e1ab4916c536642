"""`rankguard alerts silence`: who wants not to hear of what, until when, and why."""

from __future__ import annotations

import getpass
import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

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
    from alerts.silence import Silence

NAME = "silence"
app = typer.Typer(help="Silences: who wants not to hear of what.", no_args_is_help=True)


@app.command(
    "add",
    epilog=examples(
        "rankguard alerts silence add host=gpu-1 --for 2h -m 'moving the rack'",
        "rankguard alerts silence add 'alertname=~Gpu.*' severity=warning --for 30m -m 'new fans'",
        "rankguard alerts silence add --maintenance --for 1h -m 'driver update'",
    ),
)
def add(
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

    with open_desk(config) as desk:
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
            fail(str(error), EXIT_USAGE)
    if as_json:
        print(json.dumps(made.to_json(), indent=1, ensure_ascii=False))
    else:
        print(f"{made.id} until {clock_text(made.ends_at)}")


@app.command("list", epilog=examples("rankguard alerts silence list --all --json"))
def show_all(
    every: Annotated[bool, typer.Option("--all", help="those that ended, too")] = False,
    config: ConfigFile = None,
    as_json: Json = False,
) -> None:
    """List silences, the one that ends first at the top."""
    with open_desk(config) as desk:
        found = desk.silences(ended=every)
    if as_json:
        print(json.dumps([each.to_json() for each in found], indent=1, ensure_ascii=False))
        return
    columns = ("id", "until", "matchers", "author", "comment")
    show(columns, [_silence(each) for each in found], "there are no silences")


@app.command("expire", epilog=examples("rankguard alerts silence expire 3f2a01bc"))
def expire(
    silence_id: Annotated[str, typer.Argument(metavar="ID", help="or its beginning")],
    config: ConfigFile = None,
) -> None:
    """End a silence now."""
    with open_desk(config) as desk:
        if not desk.expire_silence(silence_id):
            fail(f"not exactly one silence in force begins with {silence_id}", EXIT_BAD)
    print("expired")


def _silence(silence: Silence) -> dict[str, Any]:
    return {
        "id": silence.id,
        "until": clock_text(silence.ends_at),
        "matchers": " ".join(str(each) for each in silence.matchers) or "everything (maintenance)",
        "author": silence.author,
        "comment": silence.comment,
    }
