"""What is known of cards: values only. Names and units of every reading are in one table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from monitor.model import Unavailable

Number = float | Unavailable


class Field(str, Enum):
    """One reading of one card; the name carries its unit. Ratios are 0 to 1, switches 0 or 1."""

    MEMORY_TOTAL = "memory_total_bytes"
    MEMORY_USED = "memory_used_bytes"
    MEMORY_RESERVED = "memory_reserved_bytes"
    UTILIZATION = "utilization_ratio"
    MEMORY_UTILIZATION = "memory_utilization_ratio"
    TEMPERATURE = "temperature_celsius"
    TEMPERATURE_SLOWDOWN = "temperature_slowdown_celsius"
    POWER = "power_watts"
    POWER_LIMIT = "power_limit_watts"
    ENERGY = "energy_joules"
    SM_CLOCK = "sm_clock_hertz"
    MEMORY_CLOCK = "memory_clock_hertz"
    CLOCK_REASONS = "clock_event_reasons"
    ECC_CORRECTED = "ecc_corrected_volatile"
    ECC_UNCORRECTED = "ecc_uncorrected_volatile"
    ECC_CORRECTED_LIFE = "ecc_corrected_aggregate"
    ECC_UNCORRECTED_LIFE = "ecc_uncorrected_aggregate"
    REMAPPED_CORRECTED = "remapped_rows_corrected"
    REMAPPED_UNCORRECTED = "remapped_rows_uncorrected"
    REMAP_PENDING = "row_remap_pending"
    REMAP_FAILED = "row_remap_failed"
    RETIRED_PENDING = "retired_pages_pending"
    PCIE_REPLAYS = "pcie_replays"
    PCIE_GENERATION = "pcie_link_generation"
    PCIE_WIDTH = "pcie_link_width"
    NVLINK_DOWN = "nvlinks_down"
    NVLINK_ERRORS = "nvlink_errors"
    RECOVERY_ACTION = "recovery_action"
    MIG = "mig_enabled"


@dataclass(frozen=True, slots=True)
class Card:
    """One card. Its UUID is its identity; the index may change with a reboot."""

    uuid: str
    index: int
    name: str
    pci_bus_id: str


@dataclass(frozen=True, slots=True)
class GpuProcess:
    """A process with memory on a card; `used_bytes` is None where the driver does not say."""

    pid: int
    used_bytes: int | None


@dataclass(frozen=True, slots=True)
class Instance:
    """A MIG device: a slice of a card with memory of its own, which CUDA takes for a card."""

    uuid: str
    memory_total_bytes: int
    memory_used_bytes: int


@dataclass(frozen=True, slots=True)
class CardSample:
    """One look at one card.

    Attributes:
        fault: why the card as a whole could not be read; its values are empty then.
        processes: who holds memory on it.
        instances: its MIG devices; a card with MIG on is used through them alone.
    """

    card: Card
    values: Mapping[Field, Number] = field(default_factory=dict)
    processes: tuple[GpuProcess, ...] | Unavailable = ()
    fault: Unavailable | None = None
    instances: tuple[Instance, ...] = ()

    def number(self, name: Field) -> float | None:
        """The value when there is one."""
        value = self.values.get(name)
        return None if value is None or isinstance(value, Unavailable) else value


@dataclass(frozen=True, slots=True)
class XidEvent:
    """A driver error.

    Attributes:
        at: `time.monotonic()` seconds at which we saw it.
        pci_bus_id: normalized, see `bus_id`. pid: of the process it names, when it does.
        source: nvml or kmsg.
    """

    at: float
    pci_bus_id: str
    xid: int
    source: str
    pid: int | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class GpuRound:
    """One look at all cards.

    Attributes:
        at: `time.monotonic()` seconds.
        driver: its version, or why there is none.
        cards: all that the reader knows of, whether they could be read or not. One that never told
            its UUID is `index:N`.
        took_s: what the look took. abandoned: readers that could not even be killed, so far.
    """

    at: float
    driver: str | Unavailable
    cards: tuple[CardSample, ...] = ()
    xids: tuple[XidEvent, ...] = ()
    took_s: float = 0.0
    abandoned: int = 0


def bus_id(text: str) -> str:
    """A PCI address in one form, `0000:04:00`, from NVML's and the kernel's.

    NVML says `00000000:04:00.0`, the kernel `PCI:0000:04:00` or `0000:04:00.0`.
    """
    parts = text.strip().upper().removeprefix("PCI:").partition(".")[0].split(":")
    if len(parts) == 2:
        parts = ["0", *parts]
    if len(parts) != 3:
        return text
    domain, bus, device = (int(part, 16) for part in parts)
    return f"{domain:04X}:{bus:02X}:{device:02X}"
