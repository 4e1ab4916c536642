"""Carries a rollout out: journaled before it is done, so that it survives what happens to us."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from typing import Any, Protocol

from monitor.inbox import RolloutAsked, RolloutEnded
from monitor.journal import Journal, JournalError, Transition
from monitor.model import Moment
from monitor.rollout import (
    Member,
    Rollout,
    Stage,
    Step,
    Why,
    advance,
    begin,
    end,
    turn_back,
)
from monitor.versions import VersionError
from monitor.watch import Watch

_NOTE = "rollout"
SUBJECT = "rollout"

log = logging.getLogger("rankguard.watchdog")


class VersionFiles(Protocol):
    """What installs a version; see `monitor.versions.Versions`."""

    def install(self, name: str) -> None: ...

    def go_back(self, name: str) -> None: ...


class Rolling:
    """The rollout that runs, or the last one; used by the loop's thread alone."""

    def __init__(self, journal: Journal, versions: VersionFiles, now: Moment) -> None:
        self._journal = journal
        self._versions = versions
        self.rollout: Rollout | None = _read(journal)
        if self.rollout is not None and self.is_active:
            # time in which no watchdog ran is nobody's fault
            self.rollout = replace(self.rollout, since=now.wall)
            log.info("rollout %s goes on", self.rollout.id)
            self._put_in_place(self.rollout, now)

    @property
    def is_active(self) -> bool:
        """One runs: the next turn shall not wait for the next poll."""
        return self.rollout is not None and self.rollout.is_active

    @property
    def surge(self) -> str | None:
        """A replica that there shall be beside those that the settings ask for."""
        return None if self.rollout is None else self.rollout.surge

    def clock_was_set(self, by_s: float) -> None:
        """Its moments are Unix seconds: a clock that is set makes no turn late and none endless."""
        if self.rollout is not None and self.is_active:
            self.rollout = replace(self.rollout, since=self.rollout.since + by_s)

    def begin(self, asked: RolloutAsked, members: Sequence[Member], now: Moment) -> None:
        """Begin one, unless one runs."""
        if self.rollout is not None and self.rollout.is_active:
            log.warning("rollout %s still runs: %s is not begun", self.rollout.id, asked.id)
            return
        rollout = Rollout(
            asked.id,
            asked.version,
            asked.fingerprint,
            limit_s=asked.limit_s,
            may_surge=asked.surge,
        )
        rollout = begin(rollout, members, now.wall)
        self._save(rollout, now)  # first the intent: a crash in between repeats the installing
        self._put_in_place(rollout, now)

    def finish(self, asked: RolloutEnded, members: Sequence[Member], now: Moment) -> None:
        """Turn the one that runs back, or stop it where it is."""
        rollout = self.rollout
        if rollout is None or not rollout.is_active:
            return
        if not asked.back:
            self._save(end(rollout, Stage.STOPPED, Why.OPERATOR, now.wall), now)
        elif rollout.stage is Stage.ROLLING and rollout.version:
            self._follow(turn_back(rollout, members, Why.OPERATOR, now.wall), now)

    def step(self, members: Sequence[Member], now: Moment, *, surge_id: str | None) -> str | None:
        """One step; the replica that is to be restarted now, if any."""
        if self.rollout is None or not self.rollout.is_active:
            return None
        step = advance(self.rollout, members, now.wall, surge_id=surge_id)
        self._follow(step, now)
        return step.restart

    def _follow(self, step: Step, now: Moment) -> None:
        if step.rollout != self.rollout:
            self._save(step.rollout, now)
        if step.go_back:
            self._put_in_place(step.rollout, now)

    def _put_in_place(self, rollout: Rollout, now: Moment) -> None:
        """Install what the rollout's direction asks for; twice is harmless."""
        if not rollout.version:
            return
        try:
            if rollout.stage is Stage.ROLLING:
                self._versions.install(rollout.version)
            else:
                self._versions.go_back(rollout.version)
        except VersionError as error:
            self._end_badly(rollout, error, now)

    def _end_badly(self, rollout: Rollout, error: VersionError, now: Moment) -> None:
        log.error("%s", error)
        why = Why.NO_SUCH_VERSION
        self._save(end(rollout, Stage.FAILED, why, now.wall, str(error)), now)

    def _save(self, rollout: Rollout, now: Moment) -> None:
        before = self.rollout
        self.rollout = rollout
        try:
            self._journal.note(_NOTE, json.dumps(asdict(rollout)))
            if before is None or (before.id, before.stage) != (rollout.id, rollout.stage):
                self._record(before, rollout, now)
        except JournalError as error:
            log.error("%s", error)  # noqa: TRY400 - the trace says nothing more

    def _record(self, before: Rollout | None, rollout: Rollout, now: Moment) -> None:
        old = before.stage.value if before is not None and before.id == rollout.id else ""
        words = f"{rollout.id} {rollout.version and 'to ' + rollout.version} {rollout.detail}"
        detail = " ".join(words.split())
        log.info("rollout %s: %s %s", rollout.stage.value, rollout.reason.value, detail)
        self._journal.record(
            Transition(
                at=now.wall,
                subject=SUBJECT,
                old=old,
                new=rollout.stage.value,
                reason=rollout.reason.value,
                detail=detail[:200],
            )
        )


def members(watches: Iterable[Watch]) -> list[Member]:
    """The replicas as the rules see them."""
    return [
        Member(
            watch.replica.id,
            watch.replica.phase,
            watch.replica.generation,
            watch.replica.routable,
            watch.waiting,
            "" if watch.manifest is None else watch.manifest.fingerprint,
        )
        for watch in watches
    ]


def to_json(rollout: Rollout) -> dict[str, Any]:
    """As `GET /status` shows it; moments are Unix seconds."""
    body = asdict(rollout)
    return {**body, "active": rollout.is_active, "replicas": [name for name, _ in rollout.before]}


def _read(journal: Journal) -> Rollout | None:
    text = journal.noted(_NOTE)
    if text is None:
        return None
    try:
        body = json.loads(text)
        before = tuple((str(name), int(number)) for name, number in body.pop("before"))
        stage, reason = Stage(body.pop("stage")), Why(body.pop("reason"))
        return Rollout(stage=stage, reason=reason, before=before, **body)
    except (ValueError, TypeError, KeyError) as error:
        log.warning("the journal's rollout is not readable: %s", error)
        return None
