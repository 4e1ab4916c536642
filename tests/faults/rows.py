"""Every fault, in an order in which those that can share a stack follow each other."""

from __future__ import annotations

<<<<<<< HEAD
from tests.faults import alert_rows, card_rows, replica_rows, watchdog_rows
from tests.faults.fault import Fault

ROWS: tuple[Fault, ...] = (
    *replica_rows.ROWS,
    *watchdog_rows.ROWS,
    *alert_rows.ROWS,
    *card_rows.ROWS,
)
=======
from tests.faults import card_rows, replica_rows
from tests.faults.fault import Fault

ROWS: tuple[Fault, ...] = (*replica_rows.ROWS, *card_rows.ROWS)
>>>>>>> e73e2a1c1159adff12522dcbe9ef6b3fe11a31d3
