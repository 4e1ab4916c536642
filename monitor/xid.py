"""PURE: what an XID asks for, and how the kernel tells of one.

The classes are the "immediate action" of NVIDIA's XID catalogue
(https://docs.nvidia.com/deploy/xid-errors/analyzing-xid-catalog.html, October 2025).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

from monitor.gpu import bus_id


class XidClass(str, Enum):
    """What to do about it."""

    RESTART_APP = "restart_app"
    LOG = "log"
    RESET_GPU = "reset_gpu"
    REBOOT_HOST = "reboot_host"
    FOLLOW_UP = "follow_up"
    UNKNOWN = "unknown"


def _codes(text: str) -> frozenset[int]:
    found: set[int] = set()
    for word in text.split():
        first, _, last = word.partition("-")
        found.update(range(int(first), int(last or first) + 1))
    return frozenset(found)


_TABLE = {
    XidClass.RESTART_APP: _codes(
        "8 11 13 25 31 32 39-41 60 68-72 75-77 80 82-86 88 89 94 96-105 126-135 139"
    ),
    XidClass.LOG: _codes("37 38 43 44 63 66 67 92 93 106 107 121 137 141 152 153 157 160 161"),
    XidClass.RESET_GPU: _codes("46 62 64 95 109 110 119 120 136 140 143 155 156 158"),
    # a card off the bus comes back with the host only; 151 asks for the virtual machine's restart
    XidClass.REBOOT_HOST: _codes("79 151"),
    # 48 double-bit error, 74 and 144-150 NVLink, 154 tells of a recovery action, others of parts
    XidClass.FOLLOW_UP: _codes("45 48 54 74 78 142 144-150 154 159"),
}

LOST = 79
"""The card has fallen off the bus."""

BURST_S = 2.0
"""The same XID of the same card from NVML and from the kernel log within so long is one event."""


def classify(xid: int) -> XidClass:
    """The class of a code; one that the catalogue does not have yet is UNKNOWN."""
    for kind, codes in _TABLE.items():
        if xid in codes:
            return kind
    return XidClass.UNKNOWN


def condemns(xid: int) -> bool:
    """Whether nothing may run on the card after it, until card or host were started anew."""
    return classify(xid) in {XidClass.RESET_GPU, XidClass.REBOOT_HOST}


@dataclass(frozen=True, slots=True)
class KernelLine:
    """A line of the driver's: an XID, or with xid None a card that fell off without one."""

    pci_bus_id: str
    xid: int | None
    pid: int | None
    text: str


_XID = re.compile(r"NVRM: Xid \((?P<bus>(?:PCI:)?[0-9a-fA-F:.]+)\)[^,]*?: (?P<xid>\d+)(?:,|$|\s)")
_PID = re.compile(r"\bpid=(?P<pid>\d+)")
_FELL = re.compile(
    r"NVRM:.*?GPU (?P<bus>(?:[0-9a-fA-F]{4,8}:)?[0-9a-fA-F]{2}:[0-9a-fA-F]{2})\.\d\S*"
    r".*?fallen off the bus"
)
_LIMIT = 400


def parse_kernel_text(text: str) -> KernelLine | None:
    """What a kernel message says of a card; None when it says nothing of one."""
    if "NVRM" not in text:
        return None
    short = text[:_LIMIT]
    found = _XID.search(short)
    if found is not None:
        pid = _PID.search(short)
        return KernelLine(
            bus_id(found["bus"]), int(found["xid"]), int(pid["pid"]) if pid else None, short
        )
    fell = _FELL.search(short)
    return None if fell is None else KernelLine(bus_id(fell["bus"]), None, None, short)
