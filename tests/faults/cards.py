"""The fake driver of one stack: how each card behaves, changed while the watchdog reads it."""

from __future__ import annotations

from pathlib import Path

from tests.monitor.nvml.driver import FakeDriver


class Cards:
    """`count` cards, all well; what is said of them stays until `heal`."""

    def __init__(self, folder: Path, count: int) -> None:
        self.driver = FakeDriver(folder)
        self.driver.build()
        self.count = count
        self._holders = folder / "holders"
        self._holders.mkdir()
        self._lines: list[str] = []
        self._events: list[str] = []
        self.heal()

    @property
    def environment(self) -> dict[str, str]:
        return {"LD_LIBRARY_PATH": str(self.driver.folder), "FAKE_NVML": str(self.driver.script)}

    def say(self, *lines: str) -> None:
        """Add lines of fake_nvml.c; a later line of the same kind wins."""
        self._lines.extend(lines)
        self._write()

    def event(self, card: int, xid: int) -> None:
        """Tell an XID through NVML's events, once."""
        self._events.append(f"event {card} {xid}")
        self._write()

    def hold(self, card: int, pid: int, size: float) -> None:
        """A process has so many bytes of a card, for as long as it lives."""
        (self._holders / f"{card}-{pid}").write_text(str(int(size)))

    def heal(self) -> None:
        """Everything as it was at first; events that were given stay given."""
        for held in self._holders.iterdir():
            held.unlink()
        self._lines = [f"count {self.count}", f"holders {self._holders}"]
        self._write()

    def _write(self) -> None:
        self.driver.say(*self._lines, *self._events)


def uuid(card: int) -> str:
    return f"GPU-fake-{card}"


def number(gpu_uuid: str | None) -> int:
    """The fake card that a replica runs on."""
    assert gpu_uuid is not None, "the replica has no card"
    return int(gpu_uuid.rpartition("-")[2])


def address(card: int) -> str:
    """The card's PCI address, as the kernel writes it in front of an XID."""
    return f"PCI:0000:{card + 3:02x}:00"
