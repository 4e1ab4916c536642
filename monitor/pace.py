"""PURE: how fast a replica is, and whether that is slow beside objective, siblings and past.

Two measures, each of something that can be compared. Canaries that ran while no user's work did are
the same text every time, so they compare with the objective and with the past. Busy seconds per
document compare with siblings alone: the gateway gives all of them the same mix of documents.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from monitor.model import CanaryOutcome, CanaryResult, Progress, Reason, Slow

_KEEP_S = 60.0  # of user's work behind one pace
_SAMPLE_S = 1.0
_CANARIES = 5  # quiet ones behind a pace
_LEARN = 8  # quiet ones behind the pace that is usual


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast one replica was lately; None where there was too little to say.

    Attributes:
        kind: same model, engine and sort of card: only these are compared.
        canary_s: seconds of one canary case with nobody else's work beside it, median.
        usual_s: the same when this replica was new.
        document_s: seconds for which it was busy per document of users.
    """

    kind: tuple[str, str] = ("", "")
    canary_s: float | None = None
    usual_s: float | None = None
    document_s: float | None = None


@dataclass(frozen=True, slots=True)
class PaceLimits:
    """What counts as slow.

    Attributes:
        objective_s: latency objective of a request.
        siblings, past: times as slow as the median of the siblings, as the usual pace.
        canary_floor_s, document_floor_s: smaller differences than these are not told of.
        opens_s, closes_s: slow for so long opens, well for so long closes.
        ease: once told, it must get below this share of each limit to be well again.
    """

    objective_s: float = 0.38
    siblings: float = 2.5
    past: float = 3.0
    canary_floor_s: float = 0.02
    document_floor_s: float = 0.0005
    opens_s: float = 60.0
    closes_s: float = 60.0
    ease: float = 0.8


@dataclass(frozen=True, slots=True)
class Slowness:
    """What is remembered between two looks; moments of `time.monotonic()`.

    Attributes:
        slow: what is told; None while it is not slow, or not for long enough.
    """

    since: float | None = None
    well_since: float | None = None
    slow: Slow | None = None


def judge(
    before: Slowness, own: Pace, siblings: Sequence[Pace], limits: PaceLimits, now: float
) -> Slowness:
    """The next state; slow opens and closes only after it lasted.

    Args:
        siblings: the other replicas; those of another kind are not looked at.
    """
    told = before.slow is not None
    found = compare(own, siblings, limits, limits.ease if told else 1.0)
    if found is None:
        if not told:
            return Slowness()
        well_since = now if before.well_since is None else before.well_since
        if now - well_since >= limits.closes_s:
            return Slowness()
        return Slowness(before.since, well_since, before.slow)
    since = now if before.since is None else before.since
    if not told and now - since < limits.opens_s:
        return Slowness(since)
    reason, detail = found
    return Slowness(since, None, Slow(reason, detail, since))


def compare(
    own: Pace, siblings: Sequence[Pace], limits: PaceLimits, ease: float = 1.0
) -> tuple[Reason, str] | None:
    """Why it is slow at this moment, with its numbers; None when it is not."""
    alike = [one for one in siblings if one.kind == own.kind]
    canaries = [one.canary_s for one in alike if one.canary_s is not None]
    documents = [one.document_s for one in alike if one.document_s is not None]
    times = ease * limits.siblings
    if _over(own.document_s, documents, times, ease * limits.document_floor_s):
        return Reason.SLOWER_THAN_SIBLINGS, _beside("per document", own.document_s, documents)
    if _over(own.canary_s, canaries, times, ease * limits.canary_floor_s):
        return Reason.SLOWER_THAN_SIBLINGS, _beside("per canary", own.canary_s, canaries)
    canary_s, usual_s = own.canary_s, own.usual_s
    if canary_s is None:
        return None
    usual = [] if usual_s is None else [usual_s]
    if _over(canary_s, usual, ease * limits.past, ease * limits.canary_floor_s):
        return Reason.SLOWER_THAN_BEFORE, f"{_beside('per canary', canary_s, usual)} before"
    if canary_s > ease * limits.objective_s:
        detail = f"{1000 * canary_s:.0f} ms per canary with nothing else to do"
        return Reason.LATENCY, f"{detail}; the objective is {1000 * limits.objective_s:.0f} ms"
    return None


def _over(own_s: float | None, others_s: Sequence[float], times: float, floor_s: float) -> bool:
    if own_s is None or not others_s:
        return False
    usual_s = median(others_s)
    return own_s > times * usual_s and own_s - usual_s > floor_s


def _beside(what: str, own_s: float | None, others_s: Sequence[float]) -> str:
    return f"{1000 * (own_s or 0.0):.1f} ms {what}, against {1000 * median(others_s):.1f} ms"


class Track:
    """What one replica's pace is made of; bounded. The usual pace outlives its generations."""

    def __init__(self, cases: int) -> None:
        """Divide a canary's time by this many cases."""
        self._cases = max(1, cases)
        self._kind = ("", "")
        self._usual: float | None = None
        self._learned: list[float] = []
        self.begin()

    def begin(self) -> None:
        """A generation begins: nothing is known of it yet."""
        self._work: deque[tuple[float, float, int]] = deque(maxlen=256)
        self._canaries: deque[float] = deque(maxlen=_CANARIES)
        self._waiting: CanaryResult | None = None

    def see_kind(self, fingerprint: str, card: str) -> None:
        """What runs, on what sort of card: of another kind nothing is known yet."""
        if (fingerprint, card) != self._kind:
            self._kind = (fingerprint, card)
            self._usual = None
            self._learned.clear()
            self._canaries.clear()

    def see_progress(self, sample: Progress, began: float) -> None:
        """Take what a worker counted, at the moment at which it was asked."""
        self._settle_canary(sample, began)
        if self._work and began - self._work[-1][0] < _SAMPLE_S:
            return
        self._work.append((began, sample.busy_s, sample.served))
        while len(self._work) > 2 and began - self._work[1][0] >= _KEEP_S:
            self._work.popleft()

    def see_canary(self, result: CanaryResult) -> None:
        """Take a canary that passed; the next progress tells whether it ran alone."""
        if result.outcome is CanaryOutcome.PASSED and result.logits:
            self._waiting = result

    def _settle_canary(self, sample: Progress, at: float) -> None:
        canary = self._waiting
        if canary is None or at < canary.ended:
            return
        self._waiting = None
        before = [busy_s for moment, busy_s, _ in self._work if moment <= canary.began]
        if not before or sample.busy_s > before[-1]:
            return  # users' work ran beside it
        seconds = (canary.ended - canary.began) / self._cases
        self._canaries.append(seconds)
        if self._usual is None:
            self._learned.append(seconds)
            if len(self._learned) >= _LEARN:
                self._usual = median(self._learned)

    def pace(self) -> Pace:
        full = len(self._canaries) == _CANARIES
        return Pace(
            kind=self._kind,
            canary_s=median(self._canaries) if full else None,
            usual_s=self._usual,
            document_s=self._document_s(),
        )

    def _document_s(self) -> float | None:
        """Over the last minute, when there was enough work in it to say anything."""
        if len(self._work) < 2:
            return None
        (_, first_s, first), (_, last_s, last) = self._work[0], self._work[-1]
        busy_s, served = last_s - first_s, last - first
        return busy_s / served if busy_s >= _BUSY_S and served >= _SERVED else None


_BUSY_S, _SERVED = 3.0, 50
