"""An upgrade from the command's options to its end: try, judge, switch, follow; and the ways back.

Whatever ends it on the way leaves either nothing changed, or a rollout that the watchdog carries to
an end by itself.
"""

from __future__ import annotations

import contextlib
import fcntl
import shutil
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from deploy.config import Config, load, revised
from deploy.upgrade import candidate, overlay, place, record, switch
from deploy.upgrade.gate import GateError, Trial, try_out
from deploy.upgrade.lending import lent
from deploy.upgrade.plan import Plan, Told, UpgradeError, from_json, to_json
from deploy.upgrade.questions import QuestionsError
from deploy.upgrade.questions import load as load_questions
from deploy.upgrade.record import Phase, Record, folder_of
from deploy.upgrade.shadow import Shadow
from deploy.upgrade.standing import Stand, Standing
from deploy.upgrade.verdict import Verdict, judge
from deploy.upgrade.watched import Watchdog, serving
from service.manifest import Manifest
from service.worker.select import resolve_kind

_MARGIN_S = 600.0  # on top of the start's limit: for the tests, before a lent replica comes back


class Session:
    """The upgrades of one state directory."""

    def __init__(self, file: Path | None, told: Told) -> None:
        """Raises ConfigError or UpgradeError when there is nothing to upgrade here."""
        self._file = file
        self._told = told
        config = load(file)
        self._watchdog = Watchdog(config.monitor)
        self._watchdog.seen()
        self._environment = self._watchdog.environment()
        self._home = self._watchdog.folder()
        self._now = load(file, self._environment)
        self._base = load(file, self._environment, upgraded=False)
        self._state_dir = self._now.service.state_dir

    # what an operator may ask

    def prove(self, plan: Plan) -> tuple[Record, Verdict]:
        """Try a new version; nothing is changed by it.

        Raises:
            ConfigError: the changes are no configuration.
            UpgradeError: it cannot be tried.
        """
        self._refuse_elsewhere()
        wanted = revised(self._now, plan.changes).engine
        self._check_idle()
        now = time.time()
        name = record.new_name(now)
        new = record.new_record(
            name, now, limit_s=plan.limit_s, surge=plan.surge, asked=to_json(plan)
        )
        try:
            candidate.write(self._state_dir, name, wanted, self._base.engine, now)
            record.save(self._state_dir, new)
        except OSError as error:
            folder = folder_of(self._state_dir, name)
            shutil.rmtree(folder, ignore_errors=True)
            why = f"{folder} cannot be written: {error.strerror}"
            raise UpgradeError(f"{why}; nothing was changed") from None
        record.forget_old(self._state_dir)
        return self._prove(new, plan)

    def prove_again(self, found: Record) -> tuple[Record, Verdict]:
        """Try one again that was interrupted, by what was asked of it; raises UpgradeError."""
        try:
            plan = from_json(found.asked)
        except (KeyError, TypeError, ValueError):
            raise UpgradeError(f"what was asked of {found.id} is not known: ask anew") from None
        again = replace(record.attended(found), phase=Phase.TRYING)
        record.save(self._state_dir, again)
        return self._prove(again, plan)

    def switch(self, proved: Record) -> Record:
        """Roll it out and follow it to its end.

        Raises:
            UpgradeError: the watchdog does not take it.
        """
        asked = replace(record.attended(proved), phase=Phase.SWITCHING)
        record.save(self._state_dir, asked)
        try:
            switch.ask(self._watchdog, asked)
        except switch.SwitchError as error:
            if isinstance(error, switch.NotTaken):
                record.save(self._state_dir, replace(asked, phase=Phase.PROVED))
            raise UpgradeError(str(error)) from None
        return self.follow(asked)

    def follow(self, asked: Record) -> Record:
        """Wait for the end of a rollout that the watchdog has; raises UpgradeError."""
        try:
            rollout = switch.follow(self._watchdog, asked.id, self._told.step)
        except switch.SwitchError as error:
            raise UpgradeError(str(error)) from None
        ended = {"done": Phase.DONE, "went_back": Phase.WENT_BACK}.get(
            rollout["stage"], Phase.FAILED
        )
        reason = rollout["detail"] or rollout["reason"].replace("_", " ")
        done = replace(asked, phase=ended, reason=reason)
        record.save(self._state_dir, done)
        return done

    def turn_back(self, found: Record, at: Standing) -> Record:
        """Bring the old version back, from wherever the upgrade stands; raises UpgradeError."""
        if at.stand in {Stand.INTERRUPTED, Stand.PROVED, Stand.ASKED}:
            return self._mark(found, Phase.CANCELLED)
        if at.stand is Stand.ROLLING:
            self._watchdog.told("rollout/back")
            return self.follow(found)
        text = self._before(found)
        now = time.time()
        name = record.new_name(now)
        candidate.copy_of(self._state_dir, name, text)
        undo = record.new_record(
            name,
            now,
            undoes=found.id,
            old=found.new,
            new=found.old,
            limit_s=found.limit_s,
            surge=found.surge,
        )
        return self.switch(undo)

    def settled(self, found: Record, at: Standing) -> Record:
        """The record, told of an end that nobody waited for."""
        if at.stand is Stand.DONE and found.phase is not Phase.DONE:
            return self._mark(found, Phase.DONE, "all new")
        return found

    def latest(self) -> tuple[Record | None, Standing]:
        """The newest upgrade and where it stands."""
        return record.standing(self._state_dir, self._watchdog.seen().get("rollout"))

    def to_turn_back(self) -> tuple[Record | None, Standing]:
        """What `--rollback` is about: the newest, or what is in force when that changed nothing.

        Raises:
            UpgradeError: `engine.toml` cannot be read.
        """
        found, at = self.latest()
        if at.rollback:
            return found, at
        try:
            in_force = overlay.read(self._state_dir)
        except overlay.OverlayError as error:
            raise UpgradeError(str(error)) from None
        if in_force is None:
            return found, at
        rollout = self._watchdog.seen().get("rollout")
        return record.standing(self._state_dir, rollout, in_force.upgrade)

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """One command at a time works on upgrades; raises UpgradeError for the second."""
        folder = self._state_dir / record.FOLDER
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lock = (folder / "lock").open("a")
        except OSError as error:
            raise UpgradeError(f"{folder} cannot be written: {error.strerror}") from None
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise UpgradeError("another rankguard upgrade is at work here") from None
            yield

    # the trial

    def _prove(self, new: Record, plan: Plan) -> tuple[Record, Verdict]:
        folder = folder_of(self._state_dir, new.id)
        wanted = load(
            self._file, {**self._environment, "RANKGUARD_SERVICE__STATE_DIR": str(folder)}
        )
        try:
            questions = load_questions(plan.parity)
            trial = Trial(
                questions=questions,
                canary=self._now.monitor.canary,
                canary_timeout_s=self._now.monitor.canary_timeout_s,
                limit_s=plan.limit_s,
                quality=plan.quality,
                queries=plan.queries,
            )
            lender = lent(
                self._watchdog,
                self._state_dir,
                plan.take,
                for_s=plan.limit_s + _MARGIN_S,
                tell=self._told.step,
            )
            with lender, self._shadow(wanted, folder, plan) as shadow:
                evidence = try_out(shadow, self._running(), trial, folder, self._told.step)
        except (QuestionsError, GateError) as error:
            self._mark(new, Phase.CANCELLED, str(error))
            raise UpgradeError(f"{error}; nothing was changed") from None
        except UpgradeError as error:
            self._mark(new, Phase.CANCELLED, str(error))
            raise
        verdict = judge(evidence, plan.limits)
        self._told.verdict(verdict)
        judged = replace(
            new,
            phase=Phase.PROVED if verdict.passed else Phase.REFUSED,
            old={} if evidence.old is None else asdict(evidence.old),
            new={} if evidence.new is None else asdict(evidence.new),
            reason=verdict.reason.value,
            checks=tuple(_row(check) for check in map(asdict, verdict.checks)),
        )
        record.save(self._state_dir, judged)
        return judged, verdict

    def _shadow(self, wanted: Config, folder: Path, plan: Plan) -> Shadow:
        status = self._watchdog.seen()
        kind, _ = resolve_kind(wanted.engine)
        where = place.choose(
            kind, status["gpus"], status["replicas"], wanted=plan.gpu, taken=plan.take
        )
        if where.problem:
            raise UpgradeError(f"{where.problem}; nothing was changed")
        return Shadow(folder, self._file, self._environment, where.gpu_uuid, home=self._home)

    def _running(self) -> Manifest | None:
        found = serving(self._state_dir)
        return found[0] if found else None

    # small things

    def _refuse_elsewhere(self) -> None:
        actuator = self._now.monitor.actuator
        if actuator in {"docker", "observe"}:
            raise UpgradeError(
                f'with [monitor] actuator = "{actuator}" replicas are not processes of this host:'
                " change the image or the server, then rankguard replica restart --all --rolling"
            )

    def _check_idle(self) -> None:
        found, at = self.latest()
        if at.stand in {Stand.ROLLING, Stand.GOING_BACK, Stand.ASKED}:
            name = "" if found is None else found.id
            raise UpgradeError(f"upgrade {name} is not over: {at.words}")
        running = self._watchdog.seen().get("rollout")
        if running is not None and running["active"]:
            raise UpgradeError(f"rollout {running['id']} runs")

    def _before(self, found: Record) -> str:
        try:
            path = folder_of(self._state_dir, found.id) / record.BEFORE
            return path.read_text(encoding="utf-8")
        except OSError:
            raise UpgradeError(f"nothing is kept from before {found.id}") from None

    def _mark(self, found: Record, phase: Phase, reason: str = "") -> Record:
        marked = replace(found, phase=phase, reason=reason or found.reason)
        record.save(self._state_dir, marked)
        return marked


def _row(check: dict[str, Any]) -> dict[str, Any]:
    return {**check, "reason": check["reason"].value}
