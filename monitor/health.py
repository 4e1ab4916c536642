"""PURE: from evidence to a verdict. Each rule needs its own evidence, never one timeout alone."""

from __future__ import annotations

from dataclasses import dataclass

from monitor.model import (
    CanaryOutcome,
    CanaryResult,
    Evidence,
    Health,
    Manifest,
    Progress,
    Reason,
    Verdict,
    WorkerState,
)

_EXIT_REASONS = {
    # the worker's own exit codes, docs/architecture.md
    0: Reason.DRAINED,
    70: Reason.ENGINE_DIED,
    75: Reason.START_FAILED,
    78: Reason.START_FAILED_FOR_GOOD,
    137: Reason.KILLED,
}


@dataclass(frozen=True, slots=True)
class HealthLimits:
    """When silence or standstill becomes a verdict; seconds and cores.

    Attributes:
        stall_s: work in flight and no progress for so long, and a canary that failed: hung.
        gap_factor: times the longest pause seen in good health, which wins where it is longer.
        working_stall_s: the same where the group is visibly computing on the CPU, or waiting.
        stopped_s: in state T for so long: hung.
        silent_s: no answer to probes and no CPU used for so long: hung.
        silent_max_s: no answer for so long, however busy it looks: hung.
        working_cores: running + waiting from which a group counts as working.
        idle_cores: running below which a silent group counts as standing still.
        contact_s: from start until the manifest must be there.
        load_stall_s: loading that neither gets further nor uses a CPU.
        start_timeout_s: the longest start.
    """

    stall_s: float = 2.5
    gap_factor: float = 3.0
    working_stall_s: float = 120.0
    stopped_s: float = 2.0
    silent_s: float = 2.5
    silent_max_s: float = 300.0
    working_cores: float = 0.5
    idle_cores: float = 0.02
    contact_s: float = 60.0
    load_stall_s: float = 180.0
    start_timeout_s: float = 3600.0


def assess(  # noqa: PLR0911 - one return for each rule
    evidence: Evidence, limits: HealthLimits, now: float
) -> Verdict:
    """The verdict on one replica.

    Args:
        now: `time.monotonic()` seconds, as all moments in the evidence are.
    """
    if not evidence.process.alive:
        return _dead(evidence, now)
    if evidence.gpu is not None:
        return Verdict(Health.LOST, evidence.gpu)
    if evidence.stopped_since is not None:
        stopped_s = now - evidence.stopped_since
        if stopped_s >= limits.stopped_s:
            return Verdict(Health.HUNG, Reason.STOPPED, "the process is in state T", stopped_s)
    manifest = evidence.manifest
    if manifest is None or manifest.state is WorkerState.LOADING:
        return _starting(evidence, manifest, limits, now)
    if manifest.state is WorkerState.FAILED:
        # it says itself that it is at its end; the process follows within moments
        return Verdict(Health.SUSPECT, Reason.ENGINE_DIED, manifest.reason)
    if evidence.probe_failing_since is not None:
        return _silent(evidence, evidence.probe_failing_since, limits, now)
    if manifest.state is WorkerState.DRAINING:
        return Verdict(Health.DRAINING, Reason.DRAINING)
    return _scoring(evidence, limits, now)


def _dead(evidence: Evidence, now: float) -> Verdict:
    code = evidence.process.exit_code
    manifest = evidence.manifest
    if code is None and manifest is not None:
        code = manifest.exit_code  # an adopted worker is not our child: only its word is left
    gone_at = evidence.process.gone_at
    since_s = 0.0 if gone_at is None else max(0.0, now - gone_at)
    if code is None:
        return Verdict(Health.DEAD, Reason.PROCESS_GONE, "exit code unknown", since_s)
    detail = f"exit code {code}"
    if manifest is not None and manifest.state is WorkerState.FAILED and manifest.reason:
        detail = f"{detail}: {manifest.reason}"
    if code > 128 and code not in _EXIT_REASONS:
        return Verdict(Health.DEAD, Reason.KILLED, f"signal {code - 128}", since_s)
    return Verdict(Health.DEAD, _EXIT_REASONS.get(code, Reason.EXITED), detail, since_s)


def _starting(
    evidence: Evidence, manifest: Manifest | None, limits: HealthLimits, now: float
) -> Verdict:
    age_s = now - evidence.started_at
    if manifest is None:
        if age_s >= limits.contact_s and evidence.board_refuses:
            # it tries again until it can; another process could not either
            return Verdict(Health.SUSPECT, Reason.STATE_DISK, "the state directory is not writable")
        if age_s >= limits.contact_s:
            return Verdict(
                Health.HUNG, Reason.LOAD_STALLED, f"no manifest after {age_s:.0f} s", age_s
            )
        return Verdict(Health.STARTING, Reason.STARTING)
    quiet_s = now - evidence.load_moved_at
    if quiet_s >= limits.load_stall_s or age_s >= limits.start_timeout_s:
        detail = f"loading for {age_s:.0f} s, no further for {quiet_s:.0f} s"
        return Verdict(Health.HUNG, Reason.LOAD_STALLED, detail, quiet_s)
    progress = evidence.progress
    phase = progress.loading_phase if progress is not None else ""
    return Verdict(Health.STARTING, Reason.LOADING, phase)


def _silent(  # noqa: PLR0911 - one return for each rule
    evidence: Evidence, since: float, limits: HealthLimits, now: float
) -> Verdict:
    """No answer over HTTP: hung when it also stands still, busy or starved when it does not."""
    silent_s = now - since
    detail = f"no answer for {silent_s:.1f} s"
    if silent_s >= limits.silent_max_s:
        return Verdict(Health.HUNG, Reason.NOT_ANSWERING, detail, silent_s)
    if silent_s >= limits.silent_s and evidence.stopped_since is not None:
        return Verdict(Health.HUNG, Reason.STOPPED, f"{detail}, in state T", silent_s)
    if silent_s < limits.silent_s or evidence.effort is None:
        return Verdict(Health.SUSPECT, Reason.PROBE_FAILING, detail)
    effort = evidence.effort
    if effort.waiting > effort.running and effort.waiting >= limits.idle_cores:
        return Verdict(Health.STARVED, Reason.STARVED, f"{detail}, waits for a CPU")
    if effort.blocked:
        return Verdict(Health.STARVED, Reason.STARVED, f"{detail}, blocked in the kernel")
    if effort.running >= limits.idle_cores:
        return Verdict(Health.SUSPECT, Reason.BUSY, f"{detail}, uses {effort.running:.2f} cores")
    return Verdict(Health.HUNG, Reason.NOT_ANSWERING, f"{detail} and no CPU used", silent_s)


def _scoring(evidence: Evidence, limits: HealthLimits, now: float) -> Verdict:
    progress = evidence.progress
    canary = evidence.canary
    stalled = _stalled(evidence, limits, now)
    if stalled is not None:
        if stalled.health is not Health.HUNG and not evidence.canary_good:
            return Verdict(Health.STARTING, Reason.AWAITING_CANARY, stalled.detail)
        return stalled
    if canary is not None and canary.outcome in {CanaryOutcome.WRONG, CanaryOutcome.ERROR}:
        if evidence.canary_bad >= 2:
            return Verdict(Health.WRONG, canary.reason, canary.detail, max(0.0, now - canary.began))
        return Verdict(Health.SUSPECT, Reason.CANARY_UNCONFIRMED, canary.detail)
    if not evidence.canary_good:
        return Verdict(Health.STARTING, Reason.AWAITING_CANARY)
    return _well(evidence, progress, now)


def _well(evidence: Evidence, progress: Progress | None, now: float) -> Verdict:
    if evidence.unscored_at is not None:
        # it goes on serving: a document of a user's may be at fault, and the canary tells
        detail = f"{progress.unscored if progress else 0} documents without a finite score"
        return Verdict(Health.SUSPECT, Reason.UNSCORED, detail)
    canary = evidence.canary
    if canary is not None and canary.outcome is CanaryOutcome.TIMED_OUT:
        # it waits behind user work that does get done: no reason to act
        return Verdict(Health.BUSY, Reason.SLOW_CANARY, canary.detail)
    slow = evidence.slow
    if slow is not None:
        return Verdict(Health.DEGRADED, slow.reason, slow.detail, max(0.0, now - slow.since))
    if progress is not None and progress.in_flight > 0:
        return Verdict(Health.BUSY, Reason.BUSY)
    return Verdict(Health.HEALTHY, Reason.HEALTHY)


def _stalled(evidence: Evidence, limits: HealthLimits, now: float) -> Verdict | None:
    """Work in flight and no progress: hung only when a canary of that time failed as well."""
    since = evidence.stalled_since
    if since is None:
        return None
    stalled_s = now - since
    usual_s = min(limits.gap_factor * evidence.usual_gap_s, limits.working_stall_s)
    if stalled_s < max(limits.stall_s, usual_s):
        return None
    detail = f"work in flight and no progress for {stalled_s:.1f} s"
    effort = evidence.effort
    working = effort is not None and (effort.running + effort.waiting >= limits.working_cores)
    if effort is not None and working and stalled_s < limits.working_stall_s:
        if effort.waiting > effort.running:
            return Verdict(Health.STARVED, Reason.STARVED, f"{detail}, waits for a CPU")
        return Verdict(Health.BUSY, Reason.BUSY, f"{detail}, but it is computing")
    canary = evidence.canary
    if canary is None or not _confirms(canary, since):
        return Verdict(Health.SUSPECT, Reason.STALL_UNCONFIRMED, detail)
    return Verdict(
        Health.HUNG, Reason.NO_PROGRESS, f"{detail}, canary {canary.outcome.value}", stalled_s
    )


def _confirms(canary: CanaryResult, since: float) -> bool:
    """Whether a canary says the same: it failed, and all of it or a good part lay in the stall."""
    if canary.outcome is CanaryOutcome.PASSED:
        return False
    return canary.began >= since or canary.ended - since >= _CONFIRMING_S


_CONFIRMING_S = 1.0
_CANARY_RETRY_S = 0.2
_UNSCORED_RETRY_S = 1.0  # documents that never score must not keep the engine at canaries
_ASK_AFTER = 0.3  # share of stall_s after which a standstill is worth a canary


def canary_due(evidence: Evidence, period_s: float, limits: HealthLimits, now: float) -> bool:
    """Whether to run a canary now; asking while one is under way does nothing."""
    manifest = evidence.manifest
    if manifest is None or manifest.state is not WorkerState.READY:
        return False
    last = evidence.canary
    if last is None:
        return True
    if not evidence.canary_good or evidence.canary_bad == 1:
        return now - last.ended >= _CANARY_RETRY_S
    if evidence.unscored_at is not None:
        return now - last.ended >= _UNSCORED_RETRY_S
    since = evidence.stalled_since
    if since is not None and now - since >= _ASK_AFTER * limits.stall_s and last.began < since:
        return True
    return now - last.began >= period_s
