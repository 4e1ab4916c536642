"""PURE: which firing alert explains another one, so that only the cause is told."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from alerts.model import Alert
from alerts.names import ALERT_NAMES, Scope

_Place = tuple[str, str, str]
"""(explained name, host, card or replica; empty for the whole host)"""


class Causes:
    """The firing alerts that may explain others, found by what they explain and where."""

    def __init__(self, firing: Iterable[Alert]) -> None:
        self._found: dict[_Place, list[Alert]] = defaultdict(list)
        for cause in firing:
            row = ALERT_NAMES.get(cause.name)
            if row is None:
                continue
            where = ""
            if row.scope is Scope.GPU:
                where = cause.gpu_uuid or ""
            elif row.scope is Scope.REPLICA:
                where = cause.replica or ""
            if row.scope is not Scope.HOST and not where:
                continue  # it does not say on which card or replica, so it explains nothing
            for name in row.explains:
                self._found[name, cause.host, where].append(cause)

    def explaining(self, alert: Alert) -> Alert | None:
        """The alert that makes a message about `alert` needless; None when none does.

        A cause explains what its row in `ALERT_NAMES` lists, on the same host, and on the same
        card or replica when it is about one. A warning never hides something critical.
        """
        for where in {"", alert.gpu_uuid or "", alert.replica or ""}:
            for cause in self._found.get((alert.name, alert.host, where), ()):
                if cause.fingerprint != alert.fingerprint and _is_as_bad(cause, alert):
                    return cause
        return None


def _is_as_bad(cause: Alert, alert: Alert) -> bool:
    return cause.severity.rank <= alert.severity.rank
