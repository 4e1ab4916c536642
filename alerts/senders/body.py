"""Reads what a vendor says in the body of its answer, where HTTP 200 may mean failure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from alerts.http import Answer
from alerts.message import Outcome, Verdict
from alerts.retry import judge
from alerts.senders.post import describe, retry_after

LONGEST_S = 86400.0
"""More than anybody is waited for."""


@dataclass(frozen=True, slots=True)
class Codes:
    """A vendor's error codes.

    Attributes:
        fields: where the code is; the first that is present counts. 0 is success everywhere.
        texts: where the explanation is.
        retry: code -> seconds to wait. refused: the message is wrong.
            Every other code is a matter of the receiver's settings.
    """

    fields: tuple[str, ...]
    texts: tuple[str, ...]
    retry: Mapping[int, float]
    refused: frozenset[int] = frozenset()


def parse(answer: Answer) -> dict[str, object] | None:
    """The body as a JSON object; None when it is not one."""
    try:
        body = json.loads(answer.body)
    except (ValueError, RecursionError):
        return None
    return body if isinstance(body, dict) else None


def seconds(said: object) -> float | None:
    """A time to wait that stands in a body; None when it is no number that can be waited for."""
    if not isinstance(said, int | float):
        return None
    # a whole number of any length is JSON, and more than a float holds
    wait_s = float(min(said, LONGEST_S))
    return wait_s if wait_s >= 0 else None


def read_codes(answer: Answer, codes: Codes) -> Outcome | None:
    """Judge an answer by its code; None when HTTP already says that it failed.

    A success in HTTP without a code is no success: a proxy's login page answers 200 as well.
    """
    if judge(answer.status) is not Verdict.DELIVERED:
        return None
    body = parse(answer)
    found = [body[name] for name in codes.fields if name in body] if body else []
    if body is None or not found or not isinstance(found[0], int):
        return Outcome(Verdict.RETRY, f"not the vendor's answer: {describe(answer)}")
    code = found[0]
    if code == 0:
        return Outcome(Verdict.DELIVERED, describe(answer))
    text = next((str(body[name]) for name in codes.texts if body.get(name)), "")
    detail = " ".join(f"code {code} {text}".split())
    if code in codes.retry:
        return Outcome(Verdict.RETRY, detail, retry_after(answer) or codes.retry[code])
    verdict = Verdict.REFUSED if code in codes.refused else Verdict.MISCONFIGURED
    return Outcome(verdict, detail)
