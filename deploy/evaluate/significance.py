"""How sure a mean is, and whether two systems differ. PURE: seeded, no I/O."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

RESAMPLES = 10_000


def bootstrap_ci(
    groups: Sequence[Sequence[float]], *, seed: int, level: float = 0.95
) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean of the groups' means.

    Queries are drawn again within their group (a language pair), so that each pair keeps its
    weight. Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapter 13.

    Args:
        groups: one list of per-query values for each language pair; one group for one pair.

    Raises:
        ValueError: there is no value.
    """
    filled = [np.asarray(group, dtype=float) for group in groups if len(group)]
    if not filled:
        raise ValueError("no values to resample")
    random = np.random.default_rng(seed)
    means = np.zeros(RESAMPLES)
    for values in filled:
        drawn = random.integers(0, len(values), size=(RESAMPLES, len(values)))
        means += values[drawn].mean(axis=1)
    low, high = np.quantile(means / len(filled), [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def randomization_p(first: Sequence[float], second: Sequence[float], *, seed: int) -> float:
    """Two-sided p of the paired randomization test on the difference of means.

    Under the null hypothesis the two systems' values of one query may be swapped, which flips
    the sign of the difference; p is the share of random flips whose mean difference is at
    least as large, the observed one counted in, so never 0. Smucker, Allan and Carterette,
    A comparison of statistical significance tests for information retrieval evaluation,
    CIKM 2007.

    Raises:
        ValueError: the lists differ in length or are empty.
    """
    if len(first) != len(second) or not len(first):
        raise ValueError("a paired test needs the same queries on both sides")
    differences = np.asarray(first, dtype=float) - np.asarray(second, dtype=float)
    observed = abs(differences.mean())
    random = np.random.default_rng(seed)
    at_least = 0
    for _ in range(0, RESAMPLES, 500):  # in slices: 10,000 x 10,000 signs would be 800 MB
        signs = random.choice((-1.0, 1.0), size=(500, len(differences)))
        means = np.abs((signs * differences).mean(axis=1))
        at_least += int((means >= observed - 1e-12).sum())
    return (at_least + 1) / (RESAMPLES + 1)
