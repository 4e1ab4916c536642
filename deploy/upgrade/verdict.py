"""From what was seen of a new version to the word: switch to it, or keep the old one. PURE."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum

from deploy.upgrade.parity import Parity


class Decision(str, Enum):
    """What is to be done."""

    SWITCH = "switch"
    KEEP = "keep"


class Reason(str, Enum):
    """Why."""

    ALL_PASSED = "all_passed"
    START_FAILED = "start_failed"
    CANARY = "canary"
    UNSTABLE = "unstable"
    BROKEN = "broken"
    NOTHING_TO_COMPARE = "nothing_to_compare"
    DISAGREES = "disagrees"
    LESS_RIGHT = "less_right"
    CHANGED = "changed"
    SLOWER = "slower"
    QUALITY_LOW = "quality_low"
    QUALITY_DROPPED = "quality_dropped"


@dataclass(frozen=True, slots=True)
class Version:
    """What serves, or shall: by its worker's own word."""

    engine: str
    model: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Canary:
    """The canary's judgement on the new version: the watchdog's own cases and rules.

    Attributes:
        drift: largest change of a logit between two runs; None when the first did not pass.
    """

    passed: bool
    words: str
    drift: float | None = None


@dataclass(frozen=True, slots=True)
class Quality:
    """Mean NDCG@10 on a judged set; `old` is None when nothing served it."""

    dataset: str
    queries: int
    new: float
    old: float | None = None
    p: float | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything that was seen; None: that test did not come to be.

    Attributes:
        start_error: why the new version did not start. broken: what it answered to a question.
    """

    old: Version | None
    new: Version | None = None
    load_s: float = 0.0
    start_error: str = ""
    canary: Canary | None = None
    broken: str = ""
    parity: Parity | None = None
    quality: Quality | None = None


@dataclass(frozen=True, slots=True)
class GateLimits:
    """What a new version must satisfy.

    Attributes:
        agreement: of the order, between unlike models. 0.5 is chance and 0.0 the order reversed;
            two good rerankers agree on who answers, and not on the order of the rest.
        same_agreement: the same when old and new say that they are the same version.
        drift: largest change of a logit, between two runs, and between equal versions.
        less_right: share of judged questions that the new version may lose.
        slower: times the old version's median time.
        min_ndcg, max_drop: of a quality set.
        compare: without a running version to compare with, nothing is switched.
    """

    agreement: float = 0.6
    same_agreement: float = 0.98
    drift: float = 1.0
    less_right: float = 0.1
    slower: float = 3.0
    min_ndcg: float | None = None
    max_drop: float = 0.02
    compare: bool = True


@dataclass(frozen=True, slots=True)
class Check:
    """One row of the table; `reason` is what it means when it did not pass."""

    name: str
    passed: bool
    old: str
    new: str
    limit: str
    reason: Reason


@dataclass(frozen=True, slots=True)
class Verdict:
    """The decision, and every check that led to it, in order."""

    decision: Decision
    reason: Reason
    checks: tuple[Check, ...] = field(default=())

    @property
    def passed(self) -> bool:
        return self.decision is Decision.SWITCH


def judge(evidence: Evidence, limits: GateLimits) -> Verdict:
    """All checks that can be made; the first that did not pass names the reason."""
    checks: list[Check] = []
    for rule in _RULES:
        checks += rule(evidence, limits)
        if not all(check.passed for check in checks) and rule in _ENDING:
            break
    failed = [check for check in checks if not check.passed]
    if failed:
        return Verdict(Decision.KEEP, failed[0].reason, tuple(checks))
    return Verdict(Decision.SWITCH, Reason.ALL_PASSED, tuple(checks))


def _start(evidence: Evidence, limits: GateLimits) -> list[Check]:
    del limits
    new = f"ready in {evidence.load_s:.1f} s" if evidence.new else evidence.start_error
    return [Check("start", evidence.new is not None, "", new, "starts", Reason.START_FAILED)]


def _canary(evidence: Evidence, limits: GateLimits) -> list[Check]:
    canary = evidence.canary
    if canary is None:
        return [Check("canary", False, "", "not run", "order and spread", Reason.CANARY)]
    found = [Check("canary", canary.passed, "", canary.words, "order and spread", Reason.CANARY)]
    if canary.drift is not None:
        stable = canary.drift <= limits.drift
        moved, most = f"{canary.drift:.3f}", f"{limits.drift:g}"
        found.append(Check("two runs differ by", stable, "", moved, most, Reason.UNSTABLE))
    return found


def _parity(evidence: Evidence, limits: GateLimits) -> list[Check]:
    parity = evidence.parity
    if evidence.broken:
        return [Check("answers", False, "", evidence.broken, "scores", Reason.BROKEN)]
    if parity is None:
        if not limits.compare:
            return []
        why = "no replica to compare with" if evidence.old is None else "not measured"
        return [Check("parity", False, why, "", "measured", Reason.NOTHING_TO_COMPARE)]
    same = _is_same(evidence)
    least = limits.same_agreement if same else limits.agreement
    return [
        Check(
            f"same order ({parity.questions} questions)",
            parity.agreement >= least,
            "",
            f"{parity.agreement:.3f}",
            f"{least:g} or more",
            Reason.DISAGREES,
        ),
        *_right(parity, limits),
        Check(
            "largest change of a logit",
            not same or parity.change <= limits.drift,
            "",
            f"{parity.change:.3f}",
            f"{limits.drift:g}" if same else "any: other versions",
            Reason.CHANGED,
        ),
        Check(
            "median time",
            parity.slower <= limits.slower,
            f"{1000 * parity.old_s:.1f} ms",
            f"{1000 * parity.new_s:.1f} ms",
            f"{limits.slower:g} x",
            Reason.SLOWER,
        ),
    ]


def _right(parity: Parity, limits: GateLimits) -> list[Check]:
    if not parity.judged:
        return []
    least = parity.old_right - limits.less_right * parity.judged
    return [
        Check(
            "right document first",
            parity.new_right >= least,
            f"{parity.old_right}/{parity.judged}",
            f"{parity.new_right}/{parity.judged}",
            f"{max(0, math.ceil(least - 1e-9))} or more",
            Reason.LESS_RIGHT,
        )
    ]


def _quality(evidence: Evidence, limits: GateLimits) -> list[Check]:
    quality = evidence.quality
    if quality is None:
        return []
    name = f"NDCG@10, {quality.dataset}"
    old = "" if quality.old is None else f"{quality.old:.4f}"
    new = f"{quality.new:.4f}"
    found = []
    if limits.min_ndcg is not None:
        enough = quality.new >= limits.min_ndcg
        found.append(
            Check(name, enough, old, new, f"{limits.min_ndcg:g} or more", Reason.QUALITY_LOW)
        )
    if quality.old is not None:
        drop = quality.old - quality.new
        kept = drop <= limits.max_drop
        most = f"{limits.max_drop:g} less"
        found.append(Check(name, kept, old, new, most, Reason.QUALITY_DROPPED))
    return found


def _is_same(evidence: Evidence) -> bool:
    old, new = evidence.old, evidence.new
    return old is not None and new is not None and old.fingerprint == new.fingerprint


_Rule = Callable[[Evidence, GateLimits], list[Check]]
_RULES: tuple[_Rule, ...] = (_start, _canary, _parity, _quality)
_ENDING = frozenset({_start, _canary})
"""After one of these did not pass, the rest says nothing more."""
