"""Every fault, in an order in which those that can share a stack follow each other."""

from __future__ import annotations

from tests.faults import card_rows, replica_rows
from tests.faults.fault import Fault

ROWS: tuple[Fault, ...] = (*replica_rows.ROWS, *card_rows.ROWS)
