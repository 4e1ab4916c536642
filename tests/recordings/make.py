"""Writes the synthetic recordings beside it: hand-made shapes of cards, no measurements.

Figures are of the cards' public data sheets; the courses are invented. Run it after changing it:
`python -m tests.recordings.make`.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
GIB = 2**30
SHAPES = {
    # name, memory, power limit in watts, slowdown in degrees, SM clock in hertz
    "h100": ("NVIDIA H100 80GB HBM3", 80 * GIB, 700.0, 87.0, 1.98e9),
    "a100": ("NVIDIA A100-SXM4-80GB", 80 * GIB, 400.0, 89.0, 1.41e9),
    "a10": ("NVIDIA A10", 24 * GIB, 150.0, 95.0, 1.695e9),
}


def uuid(shape: str, index: int) -> str:
    return f"GPU-{index:08x}-0000-4000-8000-{list(SHAPES).index(shape):012x}"


def cards(shape: str, count: int) -> list[dict[str, Any]]:
    return [
        {
            "uuid": uuid(shape, index),
            "index": index,
            "name": SHAPES[shape][0],
            "pci_bus_id": f"00000000:{index * 16 + 4:02X}:00.0",
        }
        for index in range(count)
    ]


def values(shape: str, index: int, second: int) -> dict[str, Any]:
    """A card under a load that comes and goes."""
    _, memory, watts, slowdown, clock = SHAPES[shape]
    load = 0.5 + 0.45 * math.sin(second / 9 + index)
    return {
        "memory_total_bytes": memory,
        "memory_used_bytes": int(memory * 0.02),
        "memory_reserved_bytes": int(memory * 0.006),
        "utilization_ratio": round(load, 2),
        "memory_utilization_ratio": round(load * 0.6, 2),
        "temperature_celsius": round(34 + 30 * load),
        "temperature_slowdown_celsius": slowdown,
        "power_watts": round(watts * (0.15 + 0.75 * load), 1),
        "power_limit_watts": watts,
        "energy_joules": round(1e6 + second * watts * 0.5),
        "sm_clock_hertz": clock,
        "clock_event_reasons": 0 if load > 0.1 else 1,
        "ecc_corrected_volatile": 0,
        "ecc_uncorrected_volatile": 0,
        "ecc_corrected_aggregate": 0,
        "ecc_uncorrected_aggregate": 0,
        "remapped_rows_corrected": 0 if shape != "a10" else "not_supported",
        "row_remap_pending": 0 if shape != "a10" else "not_supported",
        "row_remap_failed": 0 if shape != "a10" else "not_supported",
        "pcie_replays": 0,
        "pcie_link_generation": 5 if shape == "h100" else 4,
        "pcie_link_width": 16,
        "recovery_action": 0,
        "mig_enabled": 0 if shape != "a10" else "not_supported",
    }


def write(name: str, shape: str, count: int, seconds: int, *, about: str, faults=None) -> None:
    """Faults: second -> what to change in that second's frame."""
    head = {
        "format": "rankguard-recording",
        "version": 1,
        "synthetic": True,
        "about": about,
        "cards": cards(shape, count),
    }
    lines = [head]
    last: dict[int, dict[str, Any]] = {}
    for second in range(seconds):
        frame: dict[str, Any] = {"at": second, "cards": {}}
        for index in range(count):
            now = values(shape, index, second)
            changed = {k: v for k, v in now.items() if last.get(index, {}).get(k) != v}
            last[index] = now
            frame["cards"][uuid(shape, index)] = {"values": changed}
        if faults is not None:
            faults(second, frame)
        lines.append(frame)
    text = "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines)
    (FOLDER / f"{name}.jsonl").write_text(text)


def lost(second: int, frame: dict[str, Any]) -> None:
    """Card 1 falls off the bus after 20 seconds."""
    if second >= 20:
        frame["cards"][uuid("h100", 1)] = {"fault": "gpu_lost: synthetic"}
    if second == 20:
        frame["xids"] = [[uuid("h100", 1), 79]]


def storm(second: int, frame: dict[str, Any]) -> None:
    """Hundreds of corrected errors and log-only XIDs on card 0."""
    one = frame["cards"][uuid("a100", 0)]["values"]
    one["ecc_corrected_volatile"] = second * 700
    frame["xids"] = [[uuid("a100", 0), 92]] * 20


def main() -> None:
    write("h100x8", "h100", 8, 60, about="eight H100, well, load that comes and goes")
    write("a100x2", "a100", 2, 60, about="two A100, well")
    write("a10x1", "a10", 1, 60, about="one A10, well; no row remapping, no MIG")
    write(
        "h100x2-lost",
        "h100",
        2,
        60,
        about="two H100, card 1 falls off the bus at 20 s",
        faults=lost,
    )
    write(
        "a100x2-storm", "a100", 2, 30, about="two A100, a storm of corrected errors", faults=storm
    )


if __name__ == "__main__":
    main()
