"""From a cosine to a logit. PURE.

The model's cosines of unrelated texts begin at about 0.65. `sigmoid(logit)` of this line is the
probability that the document answers the query.
"""

from __future__ import annotations

NAME = "xquad"
"""Goes into the fingerprint: other constants, other scores."""

SLOPE = 31.4
CENTRE = 0.833


def logit(cosine: float) -> float:
    """Calibrated logit of one cosine; keeps the order."""
    return SLOPE * (cosine - CENTRE)
