"""What is told of cards and host: an incident is open exactly while its finding is there."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from alerts.model import Severity
from monitor.cardbook import CardBook
from monitor.cardhealth import Finding
from monitor.casebook import Casebook
from monitor.collectors.kmsg import OomKill
from monitor.host import HostLimits, HostSample, judge_host
from monitor.incident import Incident
from monitor.load import Refusals
from monitor.model import Health, Moment, Reason
from monitor.rollout import Rollout, Stage, Why
from monitor.scaling import Load
from monitor.watch import Watch

_OOM_KEPT_S = 300.0
_STARVED_S, _FED_S = 10.0, 30.0
_WENT_BACK_KEPT_S = 3600.0

Found = dict[str | None, list[Finding]]
"""Findings by card; under None the host's."""


class Findings:
    """Owned by the loop's thread; moments are `time.monotonic()` seconds."""

    def __init__(
        self, cards: CardBook, casebook: Casebook, cards_known: Callable[[], bool]
    ) -> None:
        """Tell of what these cards say.

        Args:
            cards_known: there was a look at the cards, or there is no driver to ask; before it
                nothing is known of their old incidents.
        """
        self._cards = cards
        self._casebook = casebook
        self._cards_known = cards_known
        self.host: HostSample | None = None
        self.oom: OomKill | None = None
        self.config_error: str | None = None
        self.board_error: str | None = None
        self.rollout: Rollout | None = None
        self._poison = Refusals()
        self._starved_since: float | None = None
        self._starved_last = 0.0

    def see_load(self, load: Load | None, now: Moment) -> None:
        """Take what the gateway told; what it refused as poison is told of for a while."""
        if load is None:
            self._poison = self._poison.missed()
        else:
            self._poison = self._poison.after(load.poison, now.mono)

    def tell(self, watches: Iterable[Watch], now: Moment) -> None:
        """Open what is found, close what is not found any more."""
        found: Found = {uuid: list(told) for uuid, told in self._cards.findings().items()}
        found.setdefault(None, []).extend(self._of_host(watches, now))
        present = set()
        for uuid, findings in found.items():
            for finding in findings:
                present.add((uuid, finding.name))
                self._open(uuid, finding, now)
        for incident in self._casebook.open_incidents():
            key = (incident.gpu_uuid, incident.name)
            if incident.replica is None and key not in present and self._can_close(incident):
                self._casebook.close(now, gpu_uuid=incident.gpu_uuid, name=incident.name)

    def _of_host(self, watches: Iterable[Watch], now: Moment) -> list[Finding]:
        found: list[Finding] = []
        if self.host is not None:
            found += judge_host(self.host, HostLimits())
        if self.board_error is not None:
            detail = f"the state directory cannot be written ({self.board_error}): what starts now"
            found.append(Finding("StateDiskFull", "state_disk", f"{detail} gets no work", True))
        if self.oom is not None and now.mono - self.oom.at < _OOM_KEPT_S:
            found.append(Finding("HostOomKill", "out_of_memory", self.oom.text, critical=True))
        if self.config_error is not None:
            found.append(Finding("WatchdogConfigInvalid", "config_invalid", self.config_error))
        found += _of_rollout(self.rollout, now)
        found += self._poison.findings(now.mono)
        if self._is_starved(watches, now):
            found.append(Finding("HostStarved", Reason.STARVED.value, "replicas wait for a CPU"))
        return found

    def _is_starved(self, watches: Iterable[Watch], now: Moment) -> bool:
        """For a while some replica could not run; over when none was for a longer while."""
        if any(one.verdict and one.verdict.health is Health.STARVED for one in watches):
            self._starved_since = self._starved_since or now.mono
            self._starved_last = now.mono
        elif now.mono - self._starved_last >= _FED_S:
            self._starved_since = None
        since = self._starved_since
        return since is not None and self._starved_last - since >= _STARVED_S

    def _open(self, uuid: str | None, finding: Finding, now: Moment) -> None:
        where = uuid or "host"
        self._casebook.open(
            finding.name,
            now,
            severity=Severity.CRITICAL if finding.critical else Severity.WARNING,
            reason=finding.reason,
            summary=f"{where}: {finding.detail}",
            gpu_uuid=uuid,
        )

    def _can_close(self, incident: Incident) -> bool:
        if not incident.name.startswith(("Gpu", "Driver")):
            return True
        # a card that cannot be read is not back, for whatever other reason that is by now
        missing = incident.name == "GpuLost" and self._cards.is_missing(incident.gpu_uuid)
        return self._cards_known() and not missing


def _of_rollout(rollout: Rollout | None, now: Moment) -> list[Finding]:
    """One that failed leaves replicas of two versions; one that went back is told for an hour."""
    if rollout is None or rollout.reason is Why.OPERATOR:
        return []
    if rollout.stage is Stage.FAILED:
        detail = f"rollout {rollout.id}: {rollout.detail}"
        return [Finding("RolloutFailed", rollout.reason.value, detail, critical=True)]
    if rollout.stage is Stage.WENT_BACK and now.wall - (rollout.ended_at or 0) < _WENT_BACK_KEPT_S:
        detail = f"rollout {rollout.id} went back: {rollout.detail}"
        return [Finding("RolloutFailed", rollout.reason.value, detail)]
    return []
