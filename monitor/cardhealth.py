"""PURE: from readings and XIDs of one card to what it is fit for, and what to tell of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from monitor.gpu import CardSample, Field, XidEvent
from monitor.model import Reason, Unavailable, Why
from monitor.xid import LOST

# bits of NVML's clocks event reasons (nvml.h)
_HW_SLOWDOWN, _SW_THERMAL, _HW_THERMAL, _POWER_BRAKE = 0x8, 0x20, 0x40, 0x80
_HOT_BITS = _HW_SLOWDOWN | _HW_THERMAL | _POWER_BRAKE


class CardState(str, Enum):
    """What a card is fit for."""

    OK = "ok"
    WARNING = "warning"  # serves, and somebody should look
    UNKNOWN = "unknown"  # cannot be read: no reason to touch what runs on it
    UNUSABLE = "unusable"  # nothing may run on it


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to tell of a card: an incident while it lasts."""

    name: str
    reason: str
    detail: str
    critical: bool = False


@dataclass(frozen=True, slots=True)
class CardVerdict:
    """`reason` is why nothing may run on it, for UNUSABLE."""

    state: CardState
    reason: Reason | None = None
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class Heat:
    """Since when a card is too hot or cool again; moments of `time.monotonic()`."""

    hot_since: float | None = None
    cool_since: float | None = None
    told: bool = False


@dataclass(frozen=True, slots=True)
class CardLimits:
    """When readings become findings.

    Attributes:
        lost_rounds: looks in a row at which a card must be missing.
        unknown_s: a card that does not answer for so long is told of.
        heat_s, cool_s: too hot for so long opens, cool again for so long closes.
        cool_below_c: degrees under the card's own limit at which it is cool again.
        xid_s: an XID counts for so long.
        settled_s: after a reset-class XID a card that reads well for so long is well again.
        stale_s: readings that are not renewed for so long are none.
    """

    lost_rounds: int = 2
    unknown_s: float = 10.0
    heat_s: float = 30.0
    cool_s: float = 60.0
    cool_below_c: float = 5.0
    xid_s: float = 180.0
    settled_s: float = 60.0
    stale_s: float = 30.0


@dataclass(frozen=True, slots=True)
class CardEvidence:
    """What is known of one card.

    Attributes:
        faulty_since, faulty_rounds: since when, and how often in a row, it could not be read.
        well_since: since when it could be, without a break.
        xids: recent ones of this card, oldest first.
        condemned: those for which it must be reset, until `settled`; oldest first.
        action: the recovery action that the driver asked for last (field 230); see `last_action`.
    """

    sample: CardSample
    faulty_since: float | None = None
    faulty_rounds: int = 0
    well_since: float | None = None
    heat: Heat = Heat()
    xids: tuple[XidEvent, ...] = ()
    condemned: tuple[XidEvent, ...] = ()
    action: float | None = None


def judge(evidence: CardEvidence, limits: CardLimits, now: float) -> CardVerdict:
    """The verdict on one card; `now` is `time.monotonic()` seconds."""
    fault = evidence.sample.fault
    if fault is not None:
        return _unreadable(evidence, fault, limits, now)
    unusable = _needs_reset(evidence, limits, now)
    findings = (*_reset_findings(unusable), *_findings(evidence, limits, now))
    if unusable is not None:
        return CardVerdict(CardState.UNUSABLE, Reason.GPU_NEEDS_RESET, findings)
    return CardVerdict(CardState.WARNING if findings else CardState.OK, findings=findings)


def _unreadable(
    evidence: CardEvidence, fault: Unavailable, limits: CardLimits, now: float
) -> CardVerdict:
    detail = fault.detail or fault.why.value
    if fault.why is Why.GPU_LOST and evidence.faulty_rounds >= limits.lost_rounds:
        found = Finding("GpuLost", Reason.GPU_LOST.value, detail, critical=True)
        return CardVerdict(CardState.UNUSABLE, Reason.GPU_LOST, (found,))
    if fault.why is Why.NEEDS_RESET:
        found = Finding("GpuResetRequired", Reason.GPU_NEEDS_RESET.value, detail, critical=True)
        return CardVerdict(CardState.UNUSABLE, Reason.GPU_NEEDS_RESET, (found,))
    if any(event.xid == LOST for event in evidence.condemned):
        found = Finding("GpuLost", Reason.GPU_LOST.value, f"XID {LOST}", critical=True)
        return CardVerdict(CardState.UNUSABLE, Reason.GPU_LOST, (found,))
    since = evidence.faulty_since
    told: tuple[Finding, ...] = ()
    # a driver that is gone is told of once for the host, not for each card
    alone = fault.why not in {Why.DRIVER_GONE, Why.NO_LIBRARY, Why.GPU_LOST}
    if alone and since is not None and now - since >= limits.unknown_s:
        told = (Finding("DriverUnavailable", fault.why.value, detail, critical=True),)
    return CardVerdict(CardState.UNKNOWN, findings=told)


def _needs_reset(evidence: CardEvidence, limits: CardLimits, now: float) -> str | None:
    """Why the card must be reset (or its host restarted) before anything runs on it again."""
    action = last_action(evidence)
    if action:
        return f"the driver asks for recovery action {int(action)}"
    for event in reversed(evidence.condemned):
        if not settled(evidence, event, limits, now):
            return f"XID {event.xid}"
    return None


def last_action(evidence: CardEvidence) -> float | None:
    """What the driver asks for, as it said last; None when it has no word for it.

    A reading that failed takes nothing back: nothing may start on a card for that.
    """
    value = evidence.sample.values.get(Field.RECOVERY_ACTION)
    if isinstance(value, Unavailable) and value.why not in {Why.NOT_SUPPORTED, Why.NO_PERMISSION}:
        return evidence.action
    if evidence.sample.fault is not None:
        return evidence.action
    return evidence.sample.number(Field.RECOVERY_ACTION)


def settled(evidence: CardEvidence, event: XidEvent, limits: CardLimits, now: float) -> bool:
    """Whether what an XID asked for is over: the driver asks for nothing, and the card is well.

    A driver that tells of no recovery action cannot say so: there the XID counts until a reset,
    a reboot or an operator takes it back.
    """
    if evidence.well_since is None or evidence.sample.number(Field.RECOVERY_ACTION) != 0:
        return False
    return now - max(evidence.well_since, event.at) >= limits.settled_s


def _reset_findings(unusable: str | None) -> tuple[Finding, ...]:
    if unusable is None:
        return ()
    reason = Reason.GPU_NEEDS_RESET.value
    return (Finding("GpuResetRequired", reason, unusable, critical=True),)


def _findings(evidence: CardEvidence, limits: CardLimits, now: float) -> list[Finding]:
    sample = evidence.sample
    found = []
    if sample.number(Field.REMAP_FAILED):
        found.append(
            Finding("GpuRowRemapFailed", "row_remap_failed", "a row could not be remapped", True)
        )
    uncorrected = sample.number(Field.ECC_UNCORRECTED) or 0
    if uncorrected > 0:
        found.append(
            Finding("GpuEcc", "ecc_uncorrected", f"{uncorrected:.0f} since the last reset")
        )
    elif sample.number(Field.REMAP_PENDING) or sample.number(Field.RETIRED_PENDING):
        found.append(Finding("GpuEcc", "row_remap_pending", "a reset is needed to remap a row"))
    if evidence.heat.told:
        celsius = sample.number(Field.TEMPERATURE)
        shown = "slowed down" if celsius is None else f"{celsius:.0f} °C"
        found.append(Finding("GpuThermal", "thermal_slowdown", shown))
    recent = [one for one in evidence.xids if now - one.at < limits.xid_s]
    if recent:
        codes = ", ".join(str(xid) for xid in sorted({one.xid for one in recent}))
        found.append(Finding("GpuXid", f"xid_{recent[-1].xid}", f"{len(recent)} of XID {codes}"))
    return found


def feel(heat: Heat, sample: CardSample, limits: CardLimits, now: float) -> Heat:
    """The next state of a card's heat: it takes time to be told, and more to be taken back."""
    celsius = sample.number(Field.TEMPERATURE)
    limit = sample.number(Field.TEMPERATURE_SLOWDOWN)
    bits = int(sample.number(Field.CLOCK_REASONS) or 0)
    over = celsius is not None and limit is not None and celsius >= limit
    hot = bool(bits & _HOT_BITS) or over
    warm = celsius is not None and limit is not None and celsius >= limit - limits.cool_below_c
    if hot:
        since = now if heat.hot_since is None else heat.hot_since
        return Heat(since, None, heat.told or now - since >= limits.heat_s)
    if warm:  # between the two: whatever it was, it still is
        return Heat(heat.hot_since if heat.told else None, None, heat.told)
    since = now if heat.cool_since is None else heat.cool_since
    told = heat.told and now - since < limits.cool_s
    return Heat(None, since, told)


def duplicate(event: XidEvent, known: Sequence[XidEvent], within_s: float) -> bool:
    """Whether another source told of this very event already."""
    return any(
        one.xid == event.xid
        and one.pci_bus_id == event.pci_bus_id
        and one.source != event.source
        and abs(one.at - event.at) <= within_s
        for one in known
    )
