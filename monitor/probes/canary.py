"""PURE: the canary's fixed cases and the judgement on what came back.

Each case is one query with documents in the order that every sane reranker gives: the first
answers the query, the last has nothing to do with it. Several scripts, since a broken tokenizer
or template often breaks one script only.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

from monitor.model import CanaryOutcome, CanaryResult, Reason

CanaryMode = Literal["order", "baseline", "off"]


@dataclass(frozen=True, slots=True)
class Case:
    """One query; documents best first."""

    name: str
    query: str
    documents: tuple[str, ...]


CASES = (
    Case(
        "zh-en",
        "Python 怎样 读取 CSV 文件",
        (
            "In Python, open a CSV file with the csv module and iterate over its rows.",
            "Sourdough bread needs flour, water, salt and a long night of rest.",
        ),
    ),
    Case(
        "ar-fr",
        "كيف أعيد ضبط جهاز التوجيه WiFi 6",
        (
            "Pour réinitialiser un routeur WiFi 6, maintenez le bouton reset.",
            "Le vignoble de Bourgogne produit surtout du pinot noir et du chardonnay.",
        ),
    ),
    Case(
        "ja-ja",
        "HTTP 404 エラー の 意味",
        (
            "HTTP 404 エラー は、サーバー が 要求 された ページ が ない という 意味 です。",
            "富士山 は 日本 で 一番 高い 山 で、夏 には 多く の 人 が 登ります。",
        ),
    ),
    Case(
        "es-en",
        "¿Cuántos planetas tiene el sistema solar?",
        (
            "El sistema solar tiene ocho planetas, de Mercurio a Neptuno.",
            "A violin is usually tuned in perfect fifths: G, D, A and E.",
        ),
    ),
)

_FLAT = 1e-4
"""Two documents that differ by less were not told apart (logits; bf16 noise is far larger)."""


@dataclass(frozen=True, slots=True)
class CanaryLimits:
    """What a canary must satisfy.

    Attributes:
        mode: order: check order, spread and drift; baseline: values against the recorded ones
            only (random weights cannot order); off: no canary at all.
        drift: largest change of one logit against the baseline of the same fingerprint.
    """

    mode: CanaryMode = "order"
    drift: float = 1.0


def judge(
    result: CanaryResult, baseline: Mapping[str, tuple[float, ...]] | None, limits: CanaryLimits
) -> CanaryResult:
    """The result with its values looked at; a run that brought no values is left as it is."""
    if result.outcome is not CanaryOutcome.PASSED:
        return result
    for case in CASES:
        found = _judge_case(case, result.logits.get(case.name, ()), limits)
        if found is not None:
            reason, detail = found
            return replace(result, outcome=CanaryOutcome.WRONG, reason=reason, detail=detail)
    if baseline is not None:
        drift, where = _drift(result.logits, baseline)
        if drift > limits.drift:
            detail = f"{where} moved by {drift:.2f}, more than {limits.drift:g}"
            return replace(
                result, outcome=CanaryOutcome.WRONG, reason=Reason.CANARY_DRIFT, detail=detail
            )
    return result


def _judge_case(
    case: Case, logits: tuple[float, ...], limits: CanaryLimits
) -> tuple[Reason, str] | None:
    if len(logits) != len(case.documents):
        return Reason.CANARY_INVALID, f"{case.name}: {len(logits)} scores"
    if not all(math.isfinite(logit) for logit in logits):
        return Reason.CANARY_INVALID, f"{case.name}: not a number"
    if max(logits) - min(logits) < _FLAT:
        return Reason.CANARY_FLAT, f"{case.name}: every document scores {logits[0]:.3f}"
    if limits.mode == "order" and any(a <= b for a, b in pairwise(logits)):
        shown = ", ".join(f"{logit:.2f}" for logit in logits)
        return Reason.CANARY_ORDER, f"{case.name}: {shown} should fall"
    return None


def _drift(
    logits: Mapping[str, tuple[float, ...]], baseline: Mapping[str, tuple[float, ...]]
) -> tuple[float, str]:
    worst, where = 0.0, ""
    for name, expected in baseline.items():
        for now, then in zip(logits.get(name, ()), expected, strict=False):
            if abs(now - then) > worst:
                worst, where = abs(now - then), name
    return worst, where
