from __future__ import annotations

import pytest

from monitor.gpu import bus_id
from monitor.xid import XidClass, classify, parse_kernel_text


@pytest.mark.parametrize(
    ("xid", "kind"),
    [
        pytest.param(13, XidClass.RESTART_APP, id="graphics exception"),
        pytest.param(31, XidClass.RESTART_APP, id="page fault"),
        pytest.param(94, XidClass.RESTART_APP, id="contained ECC error"),
        pytest.param(43, XidClass.LOG, id="application stopped"),
        pytest.param(63, XidClass.LOG, id="row remapped"),
        pytest.param(95, XidClass.RESET_GPU, id="uncontained ECC error"),
        pytest.param(119, XidClass.RESET_GPU, id="GSP timeout"),
        pytest.param(79, XidClass.REBOOT_HOST, id="fallen off the bus"),
        pytest.param(48, XidClass.FOLLOW_UP, id="double bit error"),
        pytest.param(147, XidClass.FOLLOW_UP, id="NVLink"),
        pytest.param(9999, XidClass.UNKNOWN, id="not in the catalogue yet"),
    ],
)
def test_a_code_has_one_class(xid, kind):
    assert classify(xid) is kind


def test_no_code_is_in_two_classes():
    from monitor.xid import _TABLE

    assert sum(len(codes) for codes in _TABLE.values()) == len(frozenset().union(*_TABLE.values()))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            "NVRM: Xid (PCI:0000:04:00): 79, pid='<unknown>', name=<unknown>, GPU has fallen off",
            ("0000:04:00", 79, None),
            id="an XID without a process",
        ),
        pytest.param(
            "NVRM: Xid (PCI:0000:C1:00): 31, pid=4711, name=python3, Ch 00000008, MMU Fault",
            ("0000:C1:00", 31, 4711),
            id="an XID with its process",
        ),
        pytest.param(
            "NVRM: Xid (0000:04:00): 13, Graphics Exception",
            ("0000:04:00", 13, None),
            id="an old driver's form",
        ),
        pytest.param(
            "NVRM: GPU 0000:04:00.0: GPU has fallen off the bus.",
            ("0000:04:00", None, None),
            id="off the bus without an XID",
        ),
        pytest.param(
            "NVRM: The NVIDIA GPU 0000:04:00.0 (PCI ID: 10de:2330) installed in this system has"
            " fallen off the bus and is not responding to commands.",
            ("0000:04:00", None, None),
            id="off the bus in other words",
        ),
        pytest.param("usb 1-1: new device", None, id="another driver"),
        pytest.param("NVRM: loading NVIDIA UNIX x86_64 Kernel Module 580.00", None, id="good news"),
    ],
)
def test_kernel_lines_are_read(text, expected):
    line = parse_kernel_text(text)

    assert (None if line is None else (line.pci_bus_id, line.xid, line.pid)) == expected


@pytest.mark.parametrize(
    "text", ["PCI:0000:04:00", "0000:04:00", "00000000:04:00.0", "04:00", "0000:04:00.0"]
)
def test_one_address_has_one_form(text):
    assert bus_id(text) == "0000:04:00"
