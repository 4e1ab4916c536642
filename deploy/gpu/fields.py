"""PURE: our readings beside what `nvidia-smi` calls them, and how far apart the two may be."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from monitor.gpu import CardSample, Field

MIB = float(2**20)


@dataclass(frozen=True, slots=True)
class Row:
    """One reading and its name there.

    Attributes:
        keys: texts of `smi.ask` that say it, the best first; several joined with `+` are summed.
            None at all: `nvidia-smi` does not print it.
        unit: theirs. scale: theirs to ours.
        absolute: how far theirs may lie outside our two readings around it, in our unit.
        relative: the same as a share of our reading.
        why: of the tolerance.
    """

    field: Field
    keys: tuple[str, ...]
    unit: str = ""
    scale: float = 1.0
    absolute: float = 0.0
    relative: float = 0.0
    why: str = "does not change by itself"


_ECC = "/ecc_errors/{}/sram_{}+/ecc_errors/{}/dram_{}"
_MOVES = "an average over up to a second, and the card is alive"
_ROUNDED = "printed in whole MiB"

ROWS: tuple[Row, ...] = (
    Row(Field.MEMORY_TOTAL, ("memory.total",), "MiB", MIB, MIB, why=_ROUNDED),
    Row(Field.MEMORY_USED, ("memory.used",), "MiB", MIB, 8 * MIB, why=f"{_ROUNDED}; both open it"),
    Row(
        Field.MEMORY_RESERVED,
        ("memory.reserved", "/fb_memory_usage/reserved"),
        "MiB",
        MIB,
        MIB,
        why=_ROUNDED,
    ),
    Row(Field.UTILIZATION, ("utilization.gpu",), "%", 0.01, 0.15, why=_MOVES),
    Row(Field.MEMORY_UTILIZATION, ("utilization.memory",), "%", 0.01, 0.15, why=_MOVES),
    Row(Field.TEMPERATURE, ("temperature.gpu",), "C", 1.0, 2.0, why="whole degrees, and moves"),
    Row(
        Field.TEMPERATURE_SLOWDOWN,
        ("/temperature/gpu_temp_slow_threshold",),
        "C",
        why="fixed; newer drivers print a distance to it instead",
    ),
    Row(Field.POWER, ("power.draw",), "W", 1.0, 5.0, 0.25, _MOVES),
    Row(
        Field.POWER_LIMIT,
        ("enforced.power.limit", "/gpu_power_readings/current_power_limit"),
        "W",
        1.0,
        0.01,
        why="two decimals",
    ),
    Row(Field.ENERGY, ()),
    Row(
        Field.SM_CLOCK,
        ("clocks.current.sm", "/clocks/sm_clock"),
        "MHz",
        1e6,
        1e7,
        0.9,
        "an idle card that is asked may wake up",
    ),
    Row(
        Field.MEMORY_CLOCK,
        ("clocks.current.memory", "/clocks/mem_clock"),
        "MHz",
        1e6,
        1e7,
        0.9,
        "an idle card that is asked may wake up",
    ),
    Row(
        Field.CLOCK_REASONS,
        ("clocks_event_reasons.active", "clocks_throttle_reasons.active"),
        "bits",
        why="equal to one of our two readings: bits, not a size",
    ),
    Row(
        Field.ECC_CORRECTED,
        ("ecc.errors.corrected.volatile.total", _ECC.format(*(["volatile", "correctable"] * 2))),
        why="a counter",
    ),
    Row(
        Field.ECC_UNCORRECTED,
        (
            "ecc.errors.uncorrected.volatile.total",
            _ECC.format(*(["volatile", "uncorrectable"] * 2)),
        ),
        why="a counter",
    ),
    Row(
        Field.ECC_CORRECTED_LIFE,
        ("ecc.errors.corrected.aggregate.total", _ECC.format(*(["aggregate", "correctable"] * 2))),
        why="a counter",
    ),
    Row(
        Field.ECC_UNCORRECTED_LIFE,
        (
            "ecc.errors.uncorrected.aggregate.total",
            _ECC.format(*(["aggregate", "uncorrectable"] * 2)),
        ),
        why="a counter",
    ),
    Row(Field.REMAPPED_CORRECTED, ("/remapped_rows/remapped_row_corr",), why="a counter"),
    Row(Field.REMAPPED_UNCORRECTED, ("/remapped_rows/remapped_row_unc",), why="a counter"),
    Row(Field.REMAP_PENDING, ("/remapped_rows/remapped_row_pending",)),
    Row(Field.REMAP_FAILED, ("/remapped_rows/remapped_row_failure",)),
    Row(
        Field.RETIRED_PENDING,
        ("retired_pages.pending", "/retired_pages/pending_retirement"),
    ),
    Row(Field.PCIE_REPLAYS, ("/pci/replay_counter",), absolute=2, why="a counter that may move"),
    Row(
        Field.PCIE_GENERATION,
        ("pcie.link.gen.current", "/pci/pci_gpu_link_info/pcie_gen/current_link_gen"),
        absolute=4,
        why="an idle link sleeps at a lower generation and wakes when asked",
    ),
    Row(
        Field.PCIE_WIDTH,
        ("pcie.link.width.current", "/pci/pci_gpu_link_info/link_widths/current_link_width"),
        "lanes",
    ),
    Row(Field.NVLINK_DOWN, ("nvlink.inactive",), "links"),
    Row(Field.NVLINK_ERRORS, ("nvlink.recovery_errors",), absolute=1, why="a counter"),
    Row(Field.RECOVERY_ACTION, ("/gpu_recovery_action",)),
    Row(Field.MIG, ("mig.mode.current", "/mig_mode/current_mig")),
)

# Words that stand for a number. Recovery actions: nvmlDeviceGpuRecoveryAction_t in nvml.h.
_WORDS = {
    "no": 0.0,
    "none": 0.0,
    "disabled": 0.0,
    "not active": 0.0,
    "yes": 1.0,
    "enabled": 1.0,
    "active": 1.0,
    "reset": 1.0,
    "gpu reset": 1.0,
    "reboot": 2.0,
    "node reboot": 2.0,
    "drain p2p": 3.0,
    "drain and reset": 4.0,
}


class Match(str, Enum):
    """How one reading compares."""

    SAME = "same"
    DIFFERS = "differs"
    LACKED_BY_BOTH = "lacked by both"
    ONLY_OURS = "nvidia-smi has none"
    ONLY_THEIRS = "only nvidia-smi has it"
    NOT_PRINTED = "nvidia-smi does not print it"


BAD = frozenset({Match.DIFFERS, Match.ONLY_THEIRS})


@dataclass(frozen=True, slots=True)
class Compared:
    """One reading of one card, in our unit; a reading that is not there is None."""

    row: Row
    match: Match
    before: float | None
    theirs: float | None
    after: float | None
    key: str = ""


def query_keys() -> list[str]:
    """The keys for `--query-gpu`."""
    return [key for row in ROWS for key in row.keys if not key.startswith(("/", "nvlink."))]


def number(text: str) -> float | None:
    """The number that a text of `nvidia-smi` says, or None: `N/A`, deprecated, an error."""
    plain = text.strip().strip("[]").lower()
    if plain in _WORDS:
        return _WORDS[plain]
    if re.fullmatch(r"0x[0-9a-f]+", plain):
        return float(int(plain, 16))
    found = re.match(r"-?\d+(?:\.\d+)?", plain)
    return float(found[0]) if found else None


def theirs(row: Row, texts: Mapping[str, str]) -> tuple[float | None, str]:
    """What `nvidia-smi` says in our unit, and the key; the key is empty where it printed none."""
    printed = ""
    for key in row.keys:
        found = _texts_of(key, texts)
        if found:
            printed = key
        values = [value for text in found if (value := number(text)) is not None]
        if values:
            return sum(values) * row.scale, key
    return None, printed


def _texts_of(key: str, texts: Mapping[str, str]) -> list[str]:
    """One text; of a sum all of them: newer drivers split a counter, and its names begin alike."""
    parts = key.split("+")
    if len(parts) == 1:
        return [texts[key]] if key in texts else []
    return [text for part in parts for name, text in texts.items() if name.startswith(part)]


def compare(before: CardSample, texts: Mapping[str, str], after: CardSample) -> list[Compared]:
    """Every reading of one card: ours, theirs, ours again."""
    return [_compare(row, before, texts, after) for row in ROWS]


def _compare(row: Row, before: CardSample, texts: Mapping[str, str], after: CardSample) -> Compared:
    first, last = before.number(row.field), after.number(row.field)
    value, key = theirs(row, texts)
    return Compared(row, _match(row, first, value, last, key), first, value, last, key)


def _match(
    row: Row, first: float | None, value: float | None, last: float | None, key: str
) -> Match:
    if first is None or last is None:
        return Match.LACKED_BY_BOTH if value is None else Match.ONLY_THEIRS
    if value is None:
        return Match.ONLY_OURS if key else Match.NOT_PRINTED
    if row.field is Field.CLOCK_REASONS:
        return Match.SAME if value in (first, last) else Match.DIFFERS
    slack = row.absolute + row.relative * max(abs(first), abs(last))
    inside = min(first, last) - slack <= value <= max(first, last) + slack
    return Match.SAME if inside else Match.DIFFERS
