"""The time zone that people read times in."""

from __future__ import annotations

from datetime import timezone, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo

LOCALTIME = Path("/etc/localtime")


def zone_of(name: str) -> tzinfo:
    """The time zone with this IANA name; the host's own when it is empty, or else UTC.

    Raises:
        ValueError: there is no such zone on this host.
    """
    if name:
        try:
            return ZoneInfo(name)
        except (KeyError, OSError, ValueError) as error:
            raise ValueError(f"{name!r} is not a time zone of this host") from error
    try:
        with LOCALTIME.open("rb") as file:
            return ZoneInfo.from_file(file, key="local")
    except (OSError, ValueError):
        return timezone.utc
