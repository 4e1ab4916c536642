"""A rolling restart over HTTP: from a request's body to what the loop is told. Pure.

`POST /api/rollout` begins one, `/api/rollout/back` turns the one that runs back,
`/api/rollout/stop` leaves it where it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from monitor.inbox import RolloutAsked, RolloutEnded
from monitor.rollout import Rollout
from monitor.snapshot import Snapshot
from monitor.versions import is_name

_LIMIT_S = 900.0
_LONGEST_S = 86400.0


@dataclass(frozen=True, slots=True)
class Order:
    """An answer, and what the loop is told; None: nothing."""

    code: HTTPStatus
    body: dict[str, str]
    message: RolloutAsked | RolloutEnded | None = None


def order(snapshot: Snapshot | None, verb: str, body: dict[str, Any], now: float) -> Order:
    """What becomes of a request.

    Args:
        verb: empty, `back` or `stop`.
        now: Unix seconds; names a rollout for which no name is given.
    """
    if snapshot is None:
        return _refused(HTTPStatus.SERVICE_UNAVAILABLE, "the watchdog is starting")
    last = snapshot.rollout
    running = last if last is not None and last.is_active else None
    if verb in {"back", "stop"}:
        return _end(running, back=verb == "back")
    if verb:
        return _refused(HTTPStatus.NOT_FOUND, "back or stop")
    if running is not None:
        return _refused(HTTPStatus.CONFLICT, f"rollout {running.id} runs")
    try:
        asked = _read(body, now)
    except ValueError as error:
        return _refused(HTTPStatus.BAD_REQUEST, str(error))
    return Order(
        HTTPStatus.ACCEPTED, {"message": f"{asked.id} is under way", "id": asked.id}, asked
    )


def _end(running: Rollout | None, *, back: bool) -> Order:
    if running is None:
        return _refused(HTTPStatus.CONFLICT, "no rollout runs")
    if back and not running.version:
        return _refused(HTTPStatus.CONFLICT, "a plain restart has nothing to go back to")
    words = "goes back" if back else "stops where it is"
    return Order(HTTPStatus.ACCEPTED, {"message": f"{running.id} {words}"}, RolloutEnded(back=back))


def _read(body: dict[str, Any], now: float) -> RolloutAsked:
    version, name = body.get("version", ""), body.get("id") or f"restart-{now:.0f}"
    fingerprint = body.get("fingerprint", "")
    limit_s, surge = body.get("limit_s", _LIMIT_S), body.get("surge", True)
    if not isinstance(version, str) or (version and not is_name(version)):
        raise ValueError("version must be the name of a folder under upgrade/")
    if not isinstance(name, str) or not is_name(name):
        raise ValueError("id must be letters, digits, dots and dashes")
    if not isinstance(fingerprint, str):
        raise ValueError("fingerprint must be a string")  # noqa: TRY004 - one error for all
    if isinstance(limit_s, bool) or not isinstance(limit_s, int | float):
        raise ValueError("limit_s must be a number")  # noqa: TRY004 - one error for all
    if not 0 < limit_s <= _LONGEST_S:
        raise ValueError(f"limit_s must be above 0 and at most {_LONGEST_S:.0f}")
    if not isinstance(surge, bool):
        raise ValueError("surge must be true or false")  # noqa: TRY004 - one error for all
    return RolloutAsked(name, version, fingerprint, float(limit_s), surge)


def _refused(code: HTTPStatus, why: str) -> Order:
    return Order(code, {"error": why})
