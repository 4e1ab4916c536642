"""Imports Ray, where it is, before pytest makes errors of the warnings about its own code."""

from __future__ import annotations

import contextlib
import warnings

with warnings.catch_warnings(), contextlib.suppress(ImportError):
    warnings.simplefilter("ignore")
    import ray.serve.schema  # noqa: F401
