"""Who is let in: whole requests, by estimated tokens, with a limit for everybody and for each key.

Nobody waits here. A request that is let in waits for a replica, up to its own deadline.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from service.errors import NoCapacity, OverLimit

RATE_MEMORY_S = 30.0
"""How far back the drain rate looks, and how long it is believed without being measured again: a
rate that holds back all work would never be measured again, and the replicas may be others now.
"""

RETRY_LONGEST_S = 60.0
HOPELESS = 1.5
"""A request is refused when the queue before it takes this many times its deadline."""


class DrainRate:
    """Tokens per second that replicas answer while chunks wait for them.

    Only then is the rate that of the replicas; with nobody waiting it is that of the callers.
    """

    def __init__(self) -> None:
        self._tokens = 0.0
        self._seconds = 0.0
        self._last: float | None = None
        self._measured_at = 0.0
        self._outages = 0

    def done(self, tokens: int, *, saturated: bool, now: float, outages: int = 0) -> None:
        """So many tokens were answered.

        Args:
            saturated: other chunks waited for a replica meanwhile.
            outages: how often no replica was there so far; the time of an outage does not count.
        """
        if outages != self._outages:
            self._outages, self._last = outages, None
        elif saturated and now - self._measured_at > RATE_MEMORY_S:
            self._tokens, self._seconds, self._last = 0.0, 0.0, None
        if saturated and self._last is not None:
            passed = now - self._last
            keep = math.exp(-passed / RATE_MEMORY_S)
            self._tokens = self._tokens * keep + tokens
            self._seconds = self._seconds * keep + passed
        self._last = None
        if saturated:
            self._last = self._measured_at = now

    def per_s(self, now: float) -> float | None:
        """None while unknown, and when it was not measured for long."""
        is_old = now - self._measured_at > RATE_MEMORY_S
        return self._tokens / self._seconds if self._seconds > 0.5 and not is_old else None


@dataclass(slots=True)
class _Bucket:
    """What a key may still spend: refilled all the time, full after a minute."""

    level: float
    at: float


@dataclass(frozen=True, slots=True)
class RateLimit:
    """What `X-RateLimit-*` says: tokens in all, left, and seconds until all are back."""

    limit: int
    remaining: int
    reset_s: float


class Permit:
    """A request that was let in; `close` is to be called exactly once."""

    __slots__ = ("_owner", "tokens")

    def __init__(self, owner: Admission, tokens: int) -> None:
        self._owner = owner
        self.tokens = tokens

    def close(self) -> None:
        self._owner.waiting_tokens -= self.tokens


class Admission:
    """Counts what is admitted and not answered, and what each key used in the last minute."""

    def __init__(
        self,
        *,
        max_waiting_tokens: int,
        tokens_per_minute: int = 0,
        tokens_per_minute_by_key: Mapping[str, int] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._max = max_waiting_tokens
        self._per_minute = tokens_per_minute
        self._per_minute_by_key = dict(tokens_per_minute_by_key or {})
        self._buckets: dict[str, _Bucket] = {}
        self._clock = clock
        self.waiting_tokens = 0
        self.rate = DrainRate()

    def admit(self, tokens: int, *, deadline: float, key: str = "") -> Permit:
        """Let a request of so many tokens in, whole.

        A request is always let in when it is alone: one larger than the limit would never be.

        Raises:
            OverLimit: too much is waiting, or the key used up its minute.
            NoCapacity: what waits before it takes longer than its deadline leaves.
        """
        if tokens == 0:
            return Permit(self, 0)
        now = self._clock()
        if self.waiting_tokens and self.waiting_tokens + tokens > self._max:
            over = self.waiting_tokens + tokens - self._max
            raise OverLimit(
                "too many requests are waiting", retry_after_s=self._retry_after(float(over), now)
            )
        per_s = self.rate.per_s(now)
        if per_s is not None and self.waiting_tokens > HOPELESS * (deadline - now) * per_s:
            too_much = self.waiting_tokens - (deadline - now) * per_s
            raise NoCapacity(
                "what is waiting takes longer than this request may wait",
                retry_after_s=self._retry_after(too_much, now),
            )
        self._spend(key, tokens, now)
        self.waiting_tokens += tokens
        return Permit(self, tokens)

    def limit(self, key: str = "") -> RateLimit:
        """What the caller has left: of its own minute when keys are limited, else of the queue."""
        allowed = self._allowed(key)
        if not allowed:
            remaining = max(0, self._max - self.waiting_tokens)
            per_s = self.rate.per_s(self._clock())
            reset_s = self.waiting_tokens / per_s if per_s else 0.0
            return RateLimit(self._max, remaining, reset_s)
        level = self._level(key, allowed, self._clock())
        return RateLimit(allowed, max(0, int(level)), (allowed - level) * 60.0 / allowed)

    def _allowed(self, key: str) -> int:
        return self._per_minute_by_key.get(key, self._per_minute) if key else 0

    def _level(self, key: str, allowed: int, now: float) -> float:
        bucket = self._buckets.get(key)
        if bucket is None:
            return float(allowed)
        return min(float(allowed), bucket.level + (now - bucket.at) * allowed / 60.0)

    def _spend(self, key: str, tokens: int, now: float) -> None:
        allowed = self._allowed(key)
        if not allowed:
            return
        level = self._level(key, allowed, now)
        # a full bucket pays for a request of any size, else a large one would never pass
        if level < tokens and level < allowed:
            missing = min(tokens, allowed) - level
            raise OverLimit(
                f"this key may use {allowed} tokens a minute",
                retry_after_s=max(1.0, math.ceil(missing * 60.0 / allowed)),
            )
        self._buckets[key] = _Bucket(level - tokens, now)

    def _retry_after(self, tokens: float, now: float) -> float:
        per_s = self.rate.per_s(now)
        if per_s is None:
            return 1.0
        return float(min(RETRY_LONGEST_S, max(1, math.ceil(tokens / per_s))))
