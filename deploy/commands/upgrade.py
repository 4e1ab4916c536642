"""`rankguard upgrade`: a new model or engine, proved beside the old one before it takes over."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deploy.commands.options import ConfigFile, Json, examples

if TYPE_CHECKING:
    from deploy.upgrade.plan import Plan
    from deploy.upgrade.record import Record
    from deploy.upgrade.report import Screen
    from deploy.upgrade.session import Session
    from deploy.upgrade.verdict import GateLimits

NAME = "upgrade"
EXAMPLES = examples(
    "rankguard upgrade --model /srv/models/Qwen3-Reranker-4B --dry-run",
    "rankguard upgrade --model /srv/models/Qwen3-Reranker-4B --max-slower 8 --yes",
    "rankguard upgrade --engine vllm --set engine.vllm.dtype=float16 --take replica-7",
    "rankguard upgrade --model NEW --parity questions.jsonl --quality ./our-set --min-ndcg 0.6",
    "rankguard upgrade --status",
    "rankguard upgrade --rollback",
)
_EXIT_NO, _EXIT_USAGE, _EXIT_INTERRUPTED = 1, 2, 130


def run(
    config: ConfigFile = None,
    model: Annotated[str, typer.Option(help="hub id or folder of the new model")] = "",
    engine: Annotated[str, typer.Option(help="vllm, embedded or remote")] = "",
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="any engine setting, as engine.vllm.dtype=half; repeatable"),
    ] = None,
    parity: Annotated[
        Path | None,
        typer.Option(help="JSONL of {query, documents, best?}; default: shipped, 39 languages"),
    ] = None,
    quality: Annotated[
        str, typer.Option(help="udhr, a built set, or a folder in BEIR form; default: none")
    ] = "",
    queries: Annotated[
        int | None, typer.Option(min=1, help="of the quality set, per language pair")
    ] = None,
    min_ndcg: Annotated[
        float | None, typer.Option(min=0, max=1, help="least NDCG@10 on the quality set")
    ] = None,
    max_drop: Annotated[
        float, typer.Option(min=0, help="allowed loss of NDCG@10 against the old version")
    ] = 0.02,
    min_agreement: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="document pairs in the same order; 0.5 is chance"),
    ] = None,
    max_slower: Annotated[
        float, typer.Option(min=0.1, help="times the old version's median time")
    ] = 3.0,
    compare: Annotated[bool, typer.Option(help="need a running replica to compare with")] = True,
    take: Annotated[
        str, typer.Option(help="drain this replica and try the new version on its card")
    ] = "",
    gpu: Annotated[str, typer.Option(help="UUID of the card for the trial")] = "",
    limit_s: Annotated[float, typer.Option(min=1, help="longest start of one replica")] = 900.0,
    surge: Annotated[
        bool, typer.Option(help="start a second replica while the only one restarts, if it fits")
    ] = True,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="try and judge; change nothing")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="switch without asking")] = False,
    status: Annotated[bool, typer.Option("--status", help="where the last one stands")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="go on with an interrupted one")] = False,
    rollback: Annotated[
        bool, typer.Option("--rollback", help="bring the old version back")
    ] = False,
    as_json: Json = False,
) -> None:
    """Try a new model or engine beside the old one, judge it, and roll it out or leave it.

    Without a passed trial nothing is changed. A rollout is the watchdog's: it restarts one replica
    at a time, and goes back by itself when a new one does not come up, also without this command.
    """
    from deploy.upgrade.plan import Plan, UpgradeError
    from deploy.upgrade.verdict import GateLimits

    changes = _changes(model, engine, set_ or [])
    limits = GateLimits(slower=max_slower, min_ndcg=min_ndcg, max_drop=max_drop, compare=compare)
    if min_agreement is not None:
        limits = _with_agreement(limits, min_agreement)
    plan = Plan(
        changes=changes,
        limits=limits,
        parity=parity,
        quality=quality,
        queries=queries,
        take=take,
        gpu=gpu,
        limit_s=limit_s,
        surge=surge,
    )
    _check_usage(plan, sum((status, resume, rollback)), yes=yes, dry_run=dry_run, as_json=as_json)
    if status:
        raise typer.Exit(_status(config, as_json=as_json))
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        code = _act(
            config,
            plan,
            back=rollback,
            resume=resume,
            ask=not yes,
            dry_run=dry_run,
            as_json=as_json,
        )
    except UpgradeError as error:
        print(error, file=sys.stderr)
        raise typer.Exit(_EXIT_NO) from None
    except OSError as error:  # a disk that fills up on the way
        print(f"{error}; rankguard upgrade --status says where it stands", file=sys.stderr)
        raise typer.Exit(_EXIT_NO) from None
    except KeyboardInterrupt:
        print("interrupted; rankguard upgrade --status says where it stands", file=sys.stderr)
        raise typer.Exit(_EXIT_INTERRUPTED) from None
    raise typer.Exit(code)


def _interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


def _changes(model: str, engine: str, settings: list[str]) -> dict[str, str]:
    """Configuration key -> text; a wrong one ends the command with exit code 2."""
    found = {}
    for each in settings:
        key, mark, value = each.partition("=")
        if not mark or not key.startswith("engine."):
            print(f"--set is engine.KEY=VALUE, not {each!r}", file=sys.stderr)
            raise typer.Exit(_EXIT_USAGE)
        found[key] = value
    if model:
        is_folder = _is_folder(model)
        if model.startswith(("/", ".", "~")) and not is_folder:  # no hub id begins so
            print(f"--model: there is no folder {model} that you may enter", file=sys.stderr)
            raise typer.Exit(_EXIT_USAGE)
        # a folder is the same one wherever the replicas are started
        found["engine.model"] = str(Path(model).resolve()) if is_folder else model
    if engine:
        found["engine.kind"] = engine
    return found


def _is_folder(text: str) -> bool:
    try:
        return Path(text).is_dir()
    except OSError:
        return False


def _check_usage(plan: Plan, verbs: int, *, yes: bool, dry_run: bool, as_json: bool) -> None:
    from deploy.upgrade.plan import Plan
    from deploy.upgrade.verdict import GateLimits

    problem = ""
    changes = plan.changes
    if verbs > 1 or (verbs and changes):
        problem = "one of: a new version, --status, --resume, --rollback"
    elif verbs and plan != Plan({}, GateLimits()):
        problem = "how a version is tried is said with the version: --resume goes by what was said"
    elif not verbs and not changes:
        problem = "which version? --model, --engine or --set; or --status, --resume, --rollback"
    elif as_json and not verbs and not yes and not dry_run:
        problem = "--json asks nothing: add --yes or --dry-run"
    if problem:
        print(problem, file=sys.stderr)
        raise typer.Exit(_EXIT_USAGE)


def _with_agreement(limits: GateLimits, least: float) -> GateLimits:
    from dataclasses import replace

    return replace(limits, agreement=least, same_agreement=max(least, limits.same_agreement))


def _act(
    config: Path | None,
    plan: Plan,
    *,
    back: bool,
    resume: bool,
    ask: bool,
    dry_run: bool,
    as_json: bool,
) -> int:
    from deploy.upgrade.plan import Told
    from deploy.upgrade.report import Screen, to_json
    from deploy.upgrade.session import Session

    screen = Screen(quiet=as_json)
    session = Session(config, Told(screen.step, screen.verdict))
    with session.held():
        if back:
            ended = _roll_back(session, screen)
        else:
            ended = _resume(session, screen) if resume else _prove(session, plan, screen)
            if ended.phase.value == "proved" and not dry_run:
                ended = _switch(session, ended, screen, ask=ask)
        found, at = session.latest()
    if as_json:
        print(json.dumps(to_json(found, at), indent=1, ensure_ascii=False))
    else:
        print(f"upgrade {ended.id}: {at.words}" + (f" ({ended.reason})" if ended.reason else ""))
    good = {"done", "proved"} | ({"cancelled", "went_back"} if back else set())
    return 0 if ended.phase.value in good else _EXIT_NO


def _prove(session: Session, plan: Plan, screen: Screen) -> Record:
    with screen.busy():
        return session.prove(plan)[0]


def _switch(session: Session, proved: Record, screen: Screen, *, ask: bool) -> Record:
    """Switch, unless a person says no; what was proved is kept for `--resume`."""
    if ask:
        try:
            agreed = typer.confirm("switch to it now?", err=True)
        except typer.Abort:  # nobody is there to be asked
            agreed = False
        if not agreed:
            return proved
    with screen.busy():
        return session.switch(proved)


def _resume(session: Session, screen: Screen) -> Record:
    """Go on from where the newest upgrade stands; what follows a trial is the caller's."""
    from deploy.upgrade.plan import UpgradeError
    from deploy.upgrade.standing import Stand

    found, at = session.latest()
    if found is not None and at.stand in {Stand.PROVED, Stand.DONE}:
        return session.settled(found, at)
    if found is None or not at.resume:
        raise UpgradeError(f"there is nothing to resume: {at.words}")
    with screen.busy():
        if at.stand is Stand.INTERRUPTED:
            return session.prove_again(found)[0]
        return session.switch(found) if at.stand is Stand.ASKED else session.follow(found)


def _roll_back(session: Session, screen: Screen) -> Record:
    from deploy.upgrade.plan import UpgradeError

    found, at = session.to_turn_back()
    if found is None or not at.rollback:
        raise UpgradeError(f"there is nothing to roll back: {at.words}")
    with screen.busy():
        return session.turn_back(found, at)


def _status(config: Path | None, *, as_json: bool) -> int:
    """Where the newest one stands; works without a watchdog."""
    import contextlib

    from deploy.client import Unreachable
    from deploy.config import load
    from deploy.upgrade.record import standing
    from deploy.upgrade.report import show_standing, to_json
    from deploy.upgrade.switch import words
    from deploy.upgrade.watched import Watchdog

    settings = load(config)
    watchdog = Watchdog(settings.monitor)
    rollout = None
    with contextlib.suppress(Unreachable):
        rollout = watchdog.rollout()
    found, at = standing(settings.service.state_dir, rollout)
    if as_json:
        print(json.dumps(to_json(found, at), indent=1, ensure_ascii=False))
    else:
        show_standing(found, at, words(rollout) if rollout else "")
    return 0
