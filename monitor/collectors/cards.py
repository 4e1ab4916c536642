"""How samples travel as JSON: between a reader process and the watchdog, and in recordings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from monitor.gpu import Card, CardSample, Field, GpuProcess, Instance, Number
from monitor.model import Unavailable, Why

_FIELDS = {field.value: field for field in Field}


def card_from_json(body: Mapping[str, Any]) -> Card:
    """Raises KeyError or ValueError for a body that is no card."""
    return Card(
        uuid=str(body["uuid"]),
        index=int(body["index"]),
        name=str(body["name"]),
        pci_bus_id=str(body["pci_bus_id"]),
    )


def values_from_json(body: Mapping[str, Any]) -> dict[Field, Number]:
    """Fields that this version does not know are left out."""
    return {_FIELDS[name]: _number(value) for name, value in body.items() if name in _FIELDS}


def sample_from_json(card: Card, body: Mapping[str, Any]) -> CardSample:
    """One card's body.

    `{"values": {...}, "processes": [[pid, bytes]] | why, "instances": [[uuid, total, used]],
    "fault": why}`, all optional.
    """
    fault = body.get("fault")
    if fault:
        return CardSample(card, fault=_unavailable(fault))
    processes = body.get("processes", [])
    return CardSample(
        card,
        values=values_from_json(body.get("values", {})),
        processes=_unavailable(processes)
        if isinstance(processes, str)
        else tuple(
            GpuProcess(int(pid), None if used is None else int(used)) for pid, used in processes
        ),
        instances=tuple(
            Instance(str(uuid), int(total), int(used))
            for uuid, total, used in body.get("instances", [])
        ),
    )


def _number(value: Any) -> Number:
    return _unavailable(value) if isinstance(value, str) else float(value)


def _unavailable(text: str) -> Unavailable:
    """`gpu_lost` or `gpu_lost: in words`."""
    why, _, detail = text.partition(":")
    try:
        return Unavailable(Why(why), detail.strip())
    except ValueError:
        return Unavailable(Why.FAILED, text)
