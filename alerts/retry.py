"""PURE: what an HTTP status means, and when to try again."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from alerts.message import Outcome, Verdict

REFUSED_STATUS = frozenset({400, 405, 406, 411, 413, 414, 415, 422, 431})
"""The request itself is wrong: the same bytes get the same answer."""

RETRY_STATUS = frozenset({408, 409, 423, 425, 429})
"""Client errors in form, but a later try may pass."""


class Next(str, Enum):
    """What becomes of a message after a try."""

    DONE = "done"
    AGAIN = "again"
    FAILED = "failed"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class RetryLimits:
    """Seconds. The first wait is at most `base_s`, then twice as long each time up to `cap_s`.

    Attributes:
        expire_tries: what is old and was tried less often is not given up: an outage of days sees
            hundreds of tries, a clock that leapt forward (a host without a battery, at boot) few.
    """

    base_s: float = 1.0
    cap_s: float = 300.0
    retry_after_cap_s: float = 3600.0
    expire_s: float = 3 * 86400.0
    expire_tries: int = 10


@dataclass(frozen=True, slots=True)
class RetryDecision:
    """`at` is in Unix seconds and means something only with `AGAIN`."""

    next: Next
    at: float
    reason: str


def judge(status: int) -> Verdict:
    """What an HTTP status says, when the body says nothing else."""
    if 200 <= status < 300:
        return Verdict.DELIVERED
    if status >= 500 or status in RETRY_STATUS:
        return Verdict.RETRY
    if status in REFUSED_STATUS:
        return Verdict.REFUSED
    # 3xx (redirects are not followed), 401, 403, 404, 410 and the like: a matter of the receiver
    return Verdict.MISCONFIGURED


def decide(
    outcome: Outcome,
    *,
    attempts: int,
    created_at: float,
    now: float,
    jitter: float,
    limits: RetryLimits,
) -> RetryDecision:
    """What becomes of a message after its `attempts`-th try.

    Args:
        attempts: tries so far, this one included.
        jitter: uniform in 0..1; half of the wait is fixed, half is drawn, so that many
            senders that failed together do not come back together.
    """
    if outcome.verdict is Verdict.DELIVERED:
        return RetryDecision(Next.DONE, now, "delivered")
    if outcome.verdict is Verdict.REFUSED:
        return RetryDecision(Next.FAILED, now, "refused")
    if now - created_at >= limits.expire_s and attempts >= limits.expire_tries:
        return RetryDecision(Next.EXPIRED, now, "expired")
    wait_s = min(limits.cap_s, limits.base_s * 2.0 ** min(attempts - 1, 30))
    wait_s *= 0.5 + 0.5 * jitter
    reason = "backoff"
    if outcome.retry_after_s is not None:
        asked_s = min(max(outcome.retry_after_s, 0.0), limits.retry_after_cap_s)
        if asked_s >= wait_s:
            wait_s, reason = asked_s, "retry_after"
    return RetryDecision(Next.AGAIN, now + wait_s, reason)
