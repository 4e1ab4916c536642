"""PURE: hours of the day and days of the week, and what is held back until the morning."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

_HOURS = re.compile(r"([01]?\d|2[0-4]):([0-5]\d)\s*-\s*([01]?\d|2[0-4]):([0-5]\d)")

DAY_MINUTES = 24 * 60


class HoursError(ValueError):
    """The text is not a range of hours."""


@dataclass(frozen=True, slots=True)
class Hours:
    """A daily range in local time, in minutes after midnight.

    A range whose end is not after its start goes over midnight and belongs to the day on which
    it starts. `days` empty: every day.
    """

    start_min: int
    end_min: int
    days: frozenset[int] = frozenset()

    def holds(self, local: datetime) -> bool:
        """Whether the local time lies within; the end does not."""
        return self.ends(local) is not None

    def ends(self, local: datetime) -> datetime | None:
        """When the range that holds this time ends; None when none holds it."""
        minute = local.hour * 60 + local.minute
        midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
        if self.start_min < self.end_min:
            inside = self.start_min <= minute < self.end_min and self._on(local)
            return midnight + timedelta(minutes=self.end_min) if inside else None
        if minute >= self.start_min and self._on(local):
            return midnight + timedelta(minutes=DAY_MINUTES + self.end_min)
        if minute < self.end_min and self._on(local - timedelta(days=1)):
            return midnight + timedelta(minutes=self.end_min)
        return None

    def _on(self, local: datetime) -> bool:
        return not self.days or local.weekday() in self.days


def parse_hours(text: str, days: tuple[str, ...] = ()) -> Hours:
    """Read `22:00-07:00` and day names such as `mon`.

    Raises:
        HoursError: it is not that.
    """
    found = _HOURS.fullmatch(text.strip())
    if found is None:
        raise HoursError(f"{text!r} is not a range such as 22:00-07:00")
    start_h, start_m, end_h, end_m = (int(part) for part in found.groups())
    start, end = start_h * 60 + start_m, end_h * 60 + end_m
    if start >= DAY_MINUTES or end > DAY_MINUTES:
        raise HoursError(f"{text!r} goes past 24:00")
    unknown = [day for day in days if day.lower() not in DAYS]
    if unknown:
        raise HoursError(f"{unknown[0]!r} is not a day; days are {', '.join(DAYS)}")
    return Hours(start, end, frozenset(DAYS.index(day.lower()) for day in days))
