"""What is written down of replicas: verdict file, journal, transitions, incidents, tallies."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable

from alerts.model import Severity
from monitor.casebook import Casebook
from monitor.cause import find_cause
from monitor.journal import Journal, JournalError, Transition
from monitor.memory import lasting, to_json
from monitor.model import Moment, Reason, Verdict
from monitor.ports import Board
from monitor.replica import Decision, OpenIncident, Phase, Replica
from monitor.watch import Watch

RUNNING = frozenset({Phase.STARTING, Phase.SERVING})

log = logging.getLogger("rankguard.watchdog")


class Ledger:
    """Used by the loop's thread alone. What cannot be written is counted, and holds up nothing."""

    def __init__(
        self,
        board: Board,
        journal: Journal,
        casebook: Casebook,
        read_log: Callable[[str, int], str],
    ) -> None:
        """Write to these; `read_log` gives the end of the log of a replica's generation."""
        self._board = board
        self._journal = journal
        self._casebook = casebook
        self._read_log = read_log
        self.journal_errors = 0
        self.board_errors = 0
        self.board_error: str | None = None  # why verdicts cannot be written now
        self.restarts: Counter[tuple[str, str]] = Counter()

    def tell_change(
        self, before: Replica, verdict: Verdict, decision: Decision, now: Moment
    ) -> None:
        """Log and journal a change of phase, and of pace."""
        after = decision.replica
        if after.degraded is not before.degraded:
            word = "degraded" if after.degraded else "well"
            self._record(after, before.phase.value, word, decision.reason, verdict.detail, now)
        if after.phase is before.phase:
            return
        restarted = after.restarts - before.restarts
        if restarted:
            self.restarts[after.id, decision.reason.value] += restarted
        detail = verdict.detail if before.phase in RUNNING else ""
        old, new = before.phase.value, after.phase.value
        self._record(after, old, new, decision.reason, detail, now)

    def _record(  # noqa: PLR0917 - the columns of one row
        self, replica: Replica, old: str, new: str, reason: Reason, detail: str, now: Moment
    ) -> None:
        log.info(
            "%s/%d: %s -> %s: %s %s", replica.id, replica.generation, old, new, reason.value, detail
        )
        transition = Transition(
            now.wall, replica.id, old, new, reason.value, replica.generation, detail
        )
        self.journaled(lambda: self._journal.record(transition))

    def show(self, watch: Watch) -> None:
        """Bring the verdict file up to date."""
        replica = watch.replica
        reason = Reason.HEALTHY if replica.routable else replica.route_reason
        shown = (replica.generation, replica.routable, reason.value)
        if shown == watch.published or replica.generation == 0:
            return
        try:
            self._board.write_verdict(
                replica.id, replica.generation, routable=replica.routable, reason=reason.value
            )
        except OSError as error:  # tried again at the next round; the rest must go on
            self.board_errors += 1
            self.board_error = error.strerror or type(error).__name__
            log.error("cannot write the verdict on %s: %s", replica.id, error)  # noqa: TRY400
            return
        self.board_error = None
        watch.published = shown

    def remember(self, watch: Watch, now: Moment) -> None:
        """Journal the replica, when there is anything new of it."""
        state = to_json(watch.replica, now)
        if lasting(state) != lasting(watch.saved):
            saved = self.journaled(lambda: self._journal.save_replica(watch.replica.id, state))
            watch.saved = state if saved else {}

    def open_incident(self, watch: Watch, action: OpenIncident, now: Moment) -> None:
        """Open it with the cause that the log gives; critical where nobody else serves."""
        replica = watch.replica
        severe = action.page or (watch.alone and not action.beside)
        what = action.reason.value.replace("_", " ")
        figures = watch.figures()
        cause = find_cause(self._read_log(replica.id, replica.generation))
        if cause is not None:
            figures["cause"] = f"{cause.word}: {cause.means}"
        self._casebook.open(
            action.name,
            now,
            severity=Severity.CRITICAL if severe else Severity.WARNING,
            reason=action.reason.value,
            summary=f"{replica.id}: {what}" + (f" ({action.detail})" if action.detail else ""),
            detected_s=action.detected_s,
            replica=replica.id,
            gpu_uuid=replica.gpu_uuid,
            evidence=figures,
        )

    def journaled(self, write: Callable[[], None]) -> bool:
        """Write to the journal; what it refuses is counted, holds up nothing, and is False."""
        try:
            write()
        except JournalError as error:
            self.journal_errors += 1
            log.error("%s", error)  # noqa: TRY400 - the trace says nothing more
            return False
        return True
