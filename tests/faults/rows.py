"""Every fault, in an order in which those that can share a stack follow each other."""

from __future__ import annotations

from tests.faults import (
    alert_rows,
    card_rows,
    engine_rows,
    kernel_rows,
    replica_rows,
    watchdog_rows,
)
from tests.faults.fault import Fault

ROWS: tuple[Fault, ...] = (
    *replica_rows.ROWS,
    *watchdog_rows.ROWS,
    *alert_rows.ROWS,
    *card_rows.ROWS,
    *kernel_rows.ROWS,
    *engine_rows.ROWS,
)
