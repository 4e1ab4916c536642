"""PURE: what the service refused, as one sentence in the reader's language."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum

from deploy.ui.words import Words


class Cause(str, Enum):
    """Why there is no answer at all."""

    DOWN = "down"
    SLOW = "slow"
    STRANGE = "strange"


@dataclass(eq=False)  # neither frozen nor slotted: Python itself sets an exception's traceback
class Refused(Exception):
    """The service did not answer the question.

    Attributes:
        status: the HTTP status; 0 when nobody answered, and `cause` says why.
        message: the service's own words, in English.
        param: the field that is wrong, with its index: `documents[3]`.
        retry_after_s: when it makes sense to come back.
    """

    status: int
    cause: Cause = Cause.STRANGE
    message: str = ""
    param: str = ""
    retry_after_s: float | None = None


def sentence(refused: Refused, words: Words) -> str:
    """One sentence for people; plain text, not HTML."""
    if refused.status == 0:
        return {Cause.DOWN: words.down, Cause.SLOW: words.slow, Cause.STRANGE: words.strange}[
            refused.cause
        ]
    when = _when(refused.retry_after_s, words)
    fixed = {
        401: words.unauthorized,
        404: words.not_found,
        413: words.too_large,
        429: words.over_limit + when,
        503: words.no_capacity.format(why=refused.message or words.no_reason) + when,
        504: words.deadline + when,
    }
    if refused.status in fixed:
        return fixed[refused.status]
    if refused.status == 422:
        return words.invalid.format(what=_field(refused.param, words), why=refused.message)
    return words.failed.format(status=refused.status, why=refused.message or words.no_reason)


def _when(seconds: float | None, words: Words) -> str:
    return "" if seconds is None else words.retry.format(seconds=max(1, math.ceil(seconds)))


def _field(param: str, words: Words) -> str:
    """`documents[3]` as people count: the fourth."""
    name, bracket, rest = param.partition("[")
    place = rest.rstrip("]")
    if name == "documents" and bracket and place.isdigit():
        return words.document_number.format(number=int(place) + 1)
    return param or words.request
