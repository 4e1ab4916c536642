"""The reader process: asks NVML, prints JSON lines, and may be killed at any moment.

A call into a driver that hangs never returns; so it happens here and not in the watchdog. Before
each card a `begin` line is printed, so that the watchdog knows which card did not answer. Run as
`python -m monitor.collectors.nvml_child`. A line on stdin asks for one round:
`{"skip": [uuids], "skip_indexes": [n]}`, or `{"indexes": [n]}` for one card alone. The end of
stdin ends it.
"""

from __future__ import annotations

import ctypes
import json
import signal
import sys
from typing import Any

import pynvml as nvml

from monitor.collectors.nvml_fields import FATAL, GETTERS, Fatal, Getter, why

_PR_SET_PDEATHSIG = 1  # prctl(2)
_MAX_EVENTS = 100


class Reader:
    """Handles and what cannot be read from each; both are found once."""

    def __init__(self) -> None:
        nvml.nvmlInit()
        self._handles: dict[str, Any] = {}
        self._cards: dict[str, dict[str, Any]] = {}
        self._by_index: dict[int, str] = {}
        self._count = 0
        self._unsupported: set[tuple[str, tuple[str, ...]]] = set()
        self._by_address: dict[int, str] = {}
        self._events: Any = None

    def find_cards(self, indexes: list[int] | None, skip: list[int]) -> dict[str, Any]:
        """The cards that the driver lists now; what is known of an index is not asked again.

        A lost card's handle can no longer be asked for its UUID, so the map is made while it can.
        """
        count = int(nvml.nvmlDeviceGetCount())
        if count != self._count:
            self._count = count
            self._by_index.clear()
        failed: dict[str, str] = {}
        for index in range(count) if indexes is None else indexes:
            if index in self._by_index or index in skip:
                continue
            say(t="begin", uuid=f"index:{index}")
            try:
                self._meet(index)
            except nvml.NVMLError as error:
                failed[str(index)] = why(error)
        listed = [self._cards[uuid] for uuid in self._by_index.values()]
        return {"count": count, "cards": listed, "failed": failed}

    def _meet(self, index: int) -> None:
        handle = nvml.nvmlDeviceGetHandleByIndex(index)
        uuid = nvml.nvmlDeviceGetUUID(handle)
        self._by_index[index] = uuid
        if uuid in self._handles:
            return
        self._cards[uuid] = {
            "uuid": uuid,
            "index": index,
            "name": nvml.nvmlDeviceGetName(handle),
            "pci_bus_id": nvml.nvmlDeviceGetPciInfo(handle).busId,
        }
        self._handles[uuid] = handle
        self._listen(uuid, handle)

    def listed(self) -> list[str]:
        return list(self._by_index.values())

    def read(self, uuid: str) -> dict[str, Any]:
        """One card: values, each a number or the word why there is none."""
        handle = self._handles[uuid]
        values: dict[str, Any] = {}
        try:
            for names, getter in GETTERS:
                self._read_one(uuid, handle, names, getter, values)
            processes = self._processes(handle)
            instances = self._instances(handle) if values.get("mig_enabled") == 1 else []
        except Fatal as fatal:
            return {"fault": str(fatal)}
        return {"values": values, "processes": processes, "instances": instances}

    def _read_one(
        self, uuid: str, handle: Any, names: tuple[str, ...], getter: Getter, into: dict[str, Any]
    ) -> None:
        if (uuid, names) in self._unsupported:
            return
        try:
            into.update(getter(handle))
        except nvml.NVMLError as error:
            word = why(error)
            kind = word.partition(":")[0]
            if kind in FATAL:
                raise Fatal(word) from error
            if kind in {"not_supported", "no_permission"}:
                self._unsupported.add((uuid, names))  # that will not change: never ask again
            into.update(dict.fromkeys(names, word))

    def _processes(self, handle: Any) -> Any:
        try:
            found = nvml.nvmlDeviceGetComputeRunningProcesses(handle)
        except nvml.NVMLError as error:
            word = why(error)
            if word.partition(":")[0] in FATAL:
                raise Fatal(word) from error
            return word
        # some drivers report pids that cannot be (0 and -1)
        return [[p.pid, p.usedGpuMemory] for p in found if 0 < p.pid < 2**31]

    def _instances(self, handle: Any) -> list[list[Any]]:
        """MIG devices: `[uuid, total, used]` each; they come and go, so handles are not kept."""
        found: list[list[Any]] = []
        try:
            for index in range(nvml.nvmlDeviceGetMaxMigDeviceCount(handle)):
                try:
                    device = nvml.nvmlDeviceGetMigDeviceHandleByIndex(handle, index)
                except nvml.NVMLError_NotFound:
                    continue  # a place without a device
                memory = nvml.nvmlDeviceGetMemoryInfo(device, version=nvml.nvmlMemory_v2)
                found.append([nvml.nvmlDeviceGetUUID(device), memory.total, memory.used])
        except nvml.NVMLError as error:
            if why(error).partition(":")[0] in FATAL:
                raise Fatal(why(error)) from error
        return found

    def _listen(self, uuid: str, handle: Any) -> None:
        wanted = (
            nvml.nvmlEventTypeXidCriticalError
            | nvml.nvmlEventTypeGpuUnavailableError
            | nvml.nvmlEventTypeGpuRecoveryAction
        )
        try:
            if self._events is None:
                self._events = nvml.nvmlEventSetCreate()
            wanted &= nvml.nvmlDeviceGetSupportedEventTypes(handle)
            nvml.nvmlDeviceRegisterEvents(handle, wanted, self._events)
            self._by_address[_address(handle)] = uuid
        except nvml.NVMLError:
            return  # the kernel log is the other source

    def events(self) -> list[list[Any]]:
        """XIDs since the last call: `[uuid or "", xid]`."""
        found: list[list[Any]] = []
        while self._events is not None and len(found) < _MAX_EVENTS:
            try:
                data = nvml.nvmlEventSetWait_v2(self._events, 0)
            except nvml.NVMLError:
                break
            if data.eventType == nvml.nvmlEventTypeXidCriticalError:
                found.append([self._by_address.get(_address(data.device), ""), data.eventData])
        return found


def _address(handle: Any) -> int:
    return int(ctypes.cast(handle, ctypes.c_void_p).value or 0)


def say(**line: Any) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def serve(reader: Reader) -> None:
    """One round for each line on stdin."""
    for text in sys.stdin:
        asked = json.loads(text)
        try:
            say(t="begin", uuid="")
            found = reader.find_cards(asked.get("indexes"), asked.get("skip_indexes", []))
            say(t="cards", **found)
            for uuid in reader.listed():
                if uuid in asked.get("skip", []):
                    continue
                say(t="begin", uuid=uuid)
                say(t="card", uuid=uuid, body=reader.read(uuid))
            say(t="begin", uuid="")
            say(t="end", xids=reader.events())
        except nvml.NVMLError as error:
            say(t="end", fault=why(error))


def main() -> int:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the watchdog, which ends us
    try:
        reader = Reader()
    except nvml.NVMLError as error:
        say(t="init", fault=why(error))
        return 0
    say(t="init", driver=nvml.nvmlSystemGetDriverVersion())
    serve(reader)
    return 0


if __name__ == "__main__":
    sys.exit(main())
