"""One request and what its answer means; shared by the receivers that speak HTTP."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from urllib.parse import parse_qsl, urlsplit

from alerts.http import Answer, HttpClient, HttpFailure
from alerts.message import Outcome, Verdict
from alerts.retry import judge

TOKEN_CHARS = 10
"""A piece of a URL that is shorter is no token."""

DETAIL_CHARS = 200
"""Of what an answer says, in reports."""

Reader = Callable[[Answer], "Outcome | None"]
"""Reads a vendor's own success or error out of an answer; None leaves it to the HTTP status."""


def post(
    http: HttpClient,
    url: str,
    body: bytes,
    headers: Mapping[str, str],
    *,
    read: Reader | None = None,
    hide: tuple[str, ...] = (),
) -> Outcome:
    """POST once; see `request`."""
    return request(http, "POST", url, body, headers, read=read, hide=hide)


def request(
    http: HttpClient,
    method: str,
    url: str,
    body: bytes | None,
    headers: Mapping[str, str],
    *,
    read: Reader | None = None,
    hide: tuple[str, ...] = (),
) -> Outcome:
    """Send once. Does not raise.

    Args:
        read: judges the body where HTTP 200 may mean failure.
        hide: secrets that the receiver's answer may repeat.
    """
    try:
        answer = http.request(method, url, body, headers)
    except HttpFailure as failure:
        verdict = Verdict.MISCONFIGURED if failure.permanent else Verdict.RETRY
        return Outcome(verdict, str(failure))
    if not answer.complete and (read is not None or judge(answer.status) is not Verdict.DELIVERED):
        # without a reader a yes is all in the status, and asking again would tell it twice
        return Outcome(Verdict.RETRY, f"HTTP {answer.status}, and the rest did not come in time")
    outcome = read(answer) if read is not None else None
    if outcome is None:
        outcome = Outcome(judge(answer.status), describe(answer), retry_after(answer))
    detail = outcome.detail
    for secret in (*hide, *secrets_in(url)):
        if secret:
            detail = detail.replace(secret, "***")
    # cut last: the half of a secret is not found
    return Outcome(outcome.verdict, detail[:DETAIL_CHARS], outcome.retry_after_s)


def secrets_in(url: str) -> list[str]:
    """The URL and the parts of it that may be a token: a vendor's answer may repeat them."""
    parts = urlsplit(url)
    pieces = [piece for piece in parts.path.split("/") if len(piece) >= TOKEN_CHARS]
    values = [value for _, value in parse_qsl(parts.query) if len(value) >= TOKEN_CHARS]
    return [url, *pieces, *values]


def describe(answer: Answer) -> str:
    """Status and body in one printable line; `request` takes secrets out of it and cuts it."""
    text = answer.body.decode("utf-8", "replace")
    line = "".join(char if char.isprintable() else " " for char in text)
    return f"HTTP {answer.status} {' '.join(line.split())}".strip()


def retry_after(answer: Answer) -> float | None:
    """Seconds to wait as the receiver asks, from `Retry-After` in either of its two forms.

    The date form is taken relative to the answer's own `Date`, so that a wrong clock here does
    not matter.
    """
    for name in ("retry-after", "x-ratelimit-reset-after"):
        text = answer.headers.get(name, "").strip()
        if not text:
            continue
        try:
            seconds = float(text)
        except ValueError:
            seconds = _until(text, answer.headers.get("date", ""))
        if math.isfinite(seconds) and seconds >= 0:
            return seconds
    return None


def _until(text: str, date: str) -> float:
    moments: list[datetime] = []
    for each in (text, date):
        try:
            moments.append(parsedate_to_datetime(each))
        except (TypeError, ValueError):
            return math.nan
    try:
        return max(0.0, (moments[0] - moments[1]).total_seconds())
    except TypeError:  # one of them has no zone
        return math.nan
