"""What `nvidia-smi` prints of each card, as texts by key: the other witness of every reading.

Keys are those of `--query-gpu`; values that only `-q -x` has are under their path in the XML,
with a `/` in front, and those of `nvidia-smi nvlink` under `nvlink.…`.
"""

from __future__ import annotations

import re
import subprocess
import time
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

LIMIT_S = 30.0
"""Without persistence mode every call starts the driver anew: seconds, with eight cards."""

_NOT_A_KEY = re.compile(r'Field "([^"]+)" is not a valid field')
_CARD = re.compile(r"^GPU \d+:.*\(UUID: (?P<uuid>[^)]+)\)")
_ERRORS = re.compile(r"^\s*Link \d+: Recovery Errors: (?P<count>\d+)")


class SmiFailed(Exception):
    """`nvidia-smi` is not there, hangs or fails; says which."""


@dataclass(frozen=True, slots=True)
class Held:
    """A compute process as `nvidia-smi` lists it; `used_bytes` is None where it prints none."""

    pid: int
    used_bytes: int | None


@dataclass(frozen=True, slots=True)
class Printed:
    """Everything that was printed at one moment.

    Attributes:
        texts: of each card, by its UUID.
        processes: compute processes of each card.
        unknown: keys that this version of `nvidia-smi` does not know.
        began, ended: `time.monotonic()` seconds around the calls.
    """

    driver: str
    texts: Mapping[str, Mapping[str, str]]
    processes: Mapping[str, tuple[Held, ...]]
    unknown: tuple[str, ...]
    began: float
    ended: float


def ask(keys: Sequence[str], *, command: str = "nvidia-smi") -> Printed:
    """Ask for the keys, for the XML and for NVLink, one after the other.

    Raises:
        SmiFailed: it is not there, took too long or failed.
    """
    began = time.monotonic()
    rows, unknown = _query(keys, command)
    root = ET.fromstring(_call([command, "-q", "-x"]))  # noqa: S314 - nvidia-smi's own words
    texts = {uuid: dict(row) for uuid, row in rows.items()}
    processes = {}
    for card in root.iter("gpu"):
        uuid = (card.findtext("uuid") or "").strip()
        texts.setdefault(uuid, {}).update(_flat(card))
        processes[uuid] = _held(card)
    for uuid, row in _nvlink(command).items():
        texts.setdefault(uuid, {}).update(row)
    driver = (root.findtext("driver_version") or "").strip()
    return Printed(driver, texts, processes, tuple(unknown), began, time.monotonic())


def _query(keys: Sequence[str], command: str) -> tuple[dict[str, dict[str, str]], list[str]]:
    """Rows by UUID, and the keys that had to be left out: each version knows others."""
    wanted, unknown = list(keys), []
    while True:
        names = ["uuid", *wanted]
        try:
            output = _call(
                [command, f"--query-gpu={','.join(names)}", "--format=csv,noheader,nounits"]
            )
        except SmiFailed as error:
            refused = _NOT_A_KEY.search(str(error))
            if refused is None or refused[1] not in wanted:
                raise
            wanted.remove(refused[1])
            unknown.append(refused[1])
            continue
        rows = {}
        for line in output.splitlines():
            values = [value.strip() for value in line.split(",")]
            if len(values) == len(names):
                rows[values[0]] = dict(zip(wanted, values[1:], strict=True))
        return rows, unknown


def _call(command: Sequence[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    except FileNotFoundError:
        raise SmiFailed(f"there is no {command[0]} here") from None
    except subprocess.TimeoutExpired:
        raise SmiFailed(f"{' '.join(command)} took longer than {LIMIT_S:g} s") from None
    if done.returncode != 0:
        words = (done.stdout + done.stderr).strip()[-400:]
        raise SmiFailed(f"{' '.join(command[:2])}: status {done.returncode}: {words}")
    return done.stdout


def _flat(card: ET.Element) -> dict[str, str]:
    """Every leaf's text by its path below the card; of repeated paths the first."""
    found: dict[str, str] = {}

    def walk(element: ET.Element, path: str) -> None:
        children = list(element)
        if not children:
            found.setdefault(path, (element.text or "").strip())
        for child in children:
            walk(child, f"{path}/{child.tag}")

    for child in card:
        if child.tag not in {"processes", "supported_clocks"}:
            walk(child, f"/{child.tag}")
    return found


def _held(card: ET.Element) -> tuple[Held, ...]:
    found = []
    for process in card.iter("process_info"):
        pid = process.findtext("pid") or ""
        # G is graphics alone; NVML's list of compute processes does not have it
        if pid.strip().isdigit() and "C" in (process.findtext("type") or "C"):
            used = re.match(r"(\d+) MiB", (process.findtext("used_memory") or "").strip())
            found.append(Held(int(pid), int(used[1]) * 2**20 if used else None))
    return tuple(found)


def _nvlink(command: str) -> dict[str, dict[str, str]]:
    """Links that are down and recovery errors; nothing where the card has no links."""
    found: dict[str, dict[str, str]] = {}
    for flag, take in (("-s", _links_down), ("-e", _link_errors)):
        try:
            output = _call([command, "nvlink", flag])
        except SmiFailed:
            continue
        uuid, lines = "", []
        for line in [*output.splitlines(), "GPU 0: end (UUID: )"]:
            card = _CARD.match(line)
            if card is None:
                lines.append(line)
                continue
            if uuid and lines:
                found.setdefault(uuid, {}).update(take(lines))
            uuid, lines = card["uuid"], []
    return found


def _links_down(lines: Sequence[str]) -> dict[str, str]:
    links = [line for line in lines if re.match(r"^\s*Link \d+:", line)]
    if not links:
        return {}
    return {"nvlink.inactive": str(sum("inactive" in line for line in links))}


def _link_errors(lines: Sequence[str]) -> dict[str, str]:
    counts = [int(match["count"]) for line in lines if (match := _ERRORS.match(line))]
    return {"nvlink.recovery_errors": str(sum(counts))} if counts else {}
