"""From a cosine to a logit. PURE.

The model's cosines of unrelated texts begin at about 0.7. `sigmoid(logit)` of this line is the
probability that the document answers the query, where one document in five does. The constants
come from `python -m deploy.evaluate.calibrate`: logistic regression on 4,410 relevant and 17,640
irrelevant pairs in seven languages, from LibreOffice Help and from questions on the Universal
Declaration of Human Rights (docs/embedded-engine.md).
"""

from __future__ import annotations

NAME = "help-declaration-1"
"""Goes into the fingerprint: other constants, other scores."""

SLOPE = 59.9
CENTRE = 0.828


def logit(cosine: float) -> float:
    """Calibrated logit of one cosine; keeps the order."""
    return SLOPE * (cosine - CENTRE)
