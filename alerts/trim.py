"""PURE: bounds what one alert may bring along, whoever made it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from alerts import cut
from alerts.model import Alert

TEXT_CHARS = 4000
VALUE_CHARS = 1000
NAME_CHARS = 200
PAIRS = 40
"""Labels, and pieces of evidence."""


def trim(alert: Alert) -> Alert:
    """The alert with long texts cut and the first pairs kept."""
    return replace(
        alert,
        id=_name(alert.id),
        fingerprint=_name(alert.fingerprint),
        name=_name(alert.name),
        host=_name(alert.host),
        replica=None if alert.replica is None else _name(alert.replica),
        gpu_uuid=None if alert.gpu_uuid is None else _name(alert.gpu_uuid),
        reason=cut.to_chars(alert.reason, VALUE_CHARS),
        summary=cut.to_chars(alert.summary, TEXT_CHARS),
        action=cut.to_chars(alert.action, TEXT_CHARS),
        runbook=cut.to_chars(alert.runbook, VALUE_CHARS),
        evidence=_pairs(alert.evidence),
        labels=_pairs(alert.labels),
    )


def _name(text: str) -> str:
    """What becomes a key in the database and a label: one short line."""
    return cut.to_chars(cut.clean(text).replace("\n", " "), NAME_CHARS)


def _pairs(given: Mapping[str, str]) -> dict[str, str]:
    kept = list(given.items())[:PAIRS]
    return {_name(str(k)): cut.to_chars(cut.clean(str(v)), VALUE_CHARS) for k, v in kept}
