"""The regression gate: is a result worse than a kept one by more than is allowed? PURE."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from deploy.evaluate.dataset import DataError
from deploy.evaluate.result import SystemResult
from deploy.evaluate.significance import randomization_p


class Gate(str, Enum):
    """Why the gate is open or shut."""

    SAME_OR_BETTER = "same_or_better"
    WITHIN_ALLOWANCE = "within_allowance"
    DROPPED = "dropped"
    NOT_COMPARABLE = "not_comparable"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The gate's word.

    Attributes:
        drop: the baseline's mean NDCG@10 minus ours, over the pairs' means; negative is a gain.
        p: of the paired randomization test over the topics that both have; None without any.
    """

    gate: Gate
    drop: float
    p: float | None
    words: str

    @property
    def passed(self) -> bool:
        return self.gate in {Gate.SAME_OR_BETTER, Gate.WITHIN_ALLOWANCE}


def judge(
    result: SystemResult, kept: Mapping[str, Any], *, max_drop: float, digest: str, seed: int
) -> Verdict:
    """Compare with what an earlier `rankguard eval --json` printed.

    Args:
        max_drop: allowed loss of mean NDCG@10, such as 0.01.
        digest: of the data set now; a result on other texts is not comparable.

    Raises:
        DataError: `kept` is no result of `rankguard eval`.
    """
    try:
        before = float(kept["mean"]["ndcg_at_10"])
        topics = {str(key): float(value) for key, value in kept["per_topic"].items()}
        other = str(kept["run"]["dataset_sha256"])
    except (KeyError, TypeError, ValueError, AttributeError):
        raise DataError("the baseline is not a JSON result of rankguard eval") from None
    drop = before - result.mean.ndcg_at_10
    if other != digest or set(topics) != set(result.per_topic):
        return Verdict(
            Gate.NOT_COMPARABLE, drop, None, "the baseline was measured on other texts or queries"
        )
    keys = sorted(topics)
    p = randomization_p(
        [result.per_topic[key] for key in keys], [topics[key] for key in keys], seed=seed
    )
    gate = _gate(drop, max_drop)
    words = (
        f"mean NDCG@10 {result.mean.ndcg_at_10:.4f}, baseline {before:.4f}, "
        f"drop {drop:+.4f}, allowed {max_drop:g}, p = {p:.4f}: {gate.value.replace('_', ' ')}"
    )
    return Verdict(gate, drop, p, words)


def _gate(drop: float, max_drop: float) -> Gate:
    if drop <= 0:
        return Gate.SAME_OR_BETTER
    # the sums of a hundred pairs carry rounding noise of about 1e-15
    return Gate.WITHIN_ALLOWANCE if drop <= max_drop + 1e-12 else Gate.DROPPED
