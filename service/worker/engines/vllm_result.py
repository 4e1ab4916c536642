"""PURE: from one logit per input to one score per document."""

from __future__ import annotations

import math
from collections.abc import Sequence

from service.request import Score
from service.worker.prompts.prompt import Prompt


def finite_error(logit: float | None) -> str | None:
    """Why a logit is none, in words for the caller; None when it is one."""
    if logit is None:
        return "the engine failed on this document"
    if math.isnan(logit):
        return "the model returned NaN"
    if math.isinf(logit):
        return "the model returned an infinite score"
    return None


def best_scores(
    prompts: Sequence[Prompt], logits: Sequence[float | None], *, count: int, query_tokens: int = 0
) -> list[Score]:
    """One score per document: of several windows the best counts.

    Args:
        prompts: at least one for each document.
        logits: one per prompt; None where the engine failed.
        count: documents in the request.
        query_tokens: tokens of a query that was an input of its own; counted for the first one.
    """
    best: list[tuple[float, Prompt] | None] = [None] * count
    tokens = [0] * count
    errors: list[str | None] = [None] * count
    for prompt, logit in zip(prompts, logits, strict=True):
        index = prompt.document
        tokens[index] += len(prompt.token_ids)
        error = finite_error(logit)
        if logit is None or error is not None:
            errors[index] = error
            continue
        current = best[index]
        if current is None or logit > current[0]:
            best[index] = (logit, prompt)
    if count:
        tokens[0] += query_tokens
    return [_score(found, tokens[index], errors[index]) for index, found in enumerate(best)]


def _score(found: tuple[float, Prompt] | None, tokens: int, error: str | None) -> Score:
    # one bad window spoils the document: its other windows may not hold what it is about
    if found is None or error is not None:
        return Score(logit=0.0, tokens=tokens, error=error or "no score")
    logit, prompt = found
    return Score(logit=logit, tokens=tokens, truncated=prompt.truncated, span=prompt.span)
