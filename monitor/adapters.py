"""The adapters that the settings ask for: who starts workers, who reads cards and kernel log."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from monitor.actuators.docker import DockerActuator, connect_docker
from monitor.actuators.observe import ObservingActuator, ObservingBoard
from monitor.actuators.process import ProcessActuator, WorkerCommand
from monitor.actuators.systemd import SystemdActuator
from monitor.board import FileBoard
from monitor.collectors.kmsg import KmsgReader
from monitor.collectors.nvml import NvmlCollector, library_is_there
from monitor.collectors.replay import (
    RecordingError,
    RecordingReader,
    RecordingWriter,
    ReplayReader,
)
from monitor.collectors.replay import load as load_recording
from monitor.collectors.reset import ResettingReader
from monitor.gpu import Card
from monitor.inbox import Inbox, KernelSeen, Message
from monitor.journal import Journal, JournalError
from monitor.model import Reason
from monitor.ports import Board, ClosingActuator, GpuReader
from monitor.probes.owner import Owners
from monitor.probes.process import boot_id
from monitor.settings import MonitorSettings
from monitor.startup import CannotStart, as_function

_CURSOR = "kmsg"


@dataclass(frozen=True, slots=True)
class Hands:
    """What acts on workers.

    Attributes:
        may_start: why a replica cannot be started at all now; None when it can.
        notice: what people must know of it; empty when there is nothing to say.
        owners: tells whose a process is. end_strays: kills workers that are nobody's.
    """

    actuator: ClosingActuator
    board: Board
    may_start: Callable[[str], Reason | None] = lambda _: None
    notice: str = ""
    owners: Owners = field(default_factory=Owners)
    end_strays: Callable[[], int] = lambda: 0


def build_hands(
    settings: MonitorSettings,
    state_dir: Path,
    command: WorkerCommand | Sequence[str],
    wake: Callable[[], None],
) -> Hands:
    """Raises ActuatorError when what shall start workers cannot be reached."""
    board = FileBoard(state_dir)
    if settings.actuator == "systemd":
        unit, folder = settings.unit, settings.unit_environment_dir
        return Hands(SystemdActuator(unit, folder, wake), board)
    if settings.actuator == "docker":
        return Hands(DockerActuator(connect_docker(), settings.label, state_dir, wake), board)
    if settings.actuator == "observe":
        observing = ObservingActuator(board)
        notice = "observing only: nothing is started, ended or routed from here"
        return Hands(observing, ObservingBoard(board), observing.may_start, notice)
    started = ProcessActuator(as_function(command), state_dir, wake, keep_logs=settings.keep_logs)
    owners = Owners(started.is_ours)
    return Hands(started, board, owners=owners, end_strays=started.end_strays)


def build_gpu_reader(
    settings: MonitorSettings, post: Callable[[Message], None], lost: Sequence[Card] = ()
) -> tuple[GpuReader | None, str, Callable[[str], None] | None]:
    """The reader of cards, what people must know of it, and what has a card reset.

    There is no reader where there is nothing to read, and no reset of cards that are replayed.

    Args:
        lost: cards that were lost before.

    Raises:
        CannotStart: the recording to replay is none.
    """
    gpus = settings.gpus
    if gpus == "none":
        return None, "", None
    reader: GpuReader
    notice = ""
    ask: Callable[[str], None] | None = None
    if gpus.startswith("replay:"):
        try:
            recording = load_recording(Path(gpus.removeprefix("replay:")))
        except RecordingError as error:
            raise CannotStart(str(error)) from error
        kind = "synthetic cards" if recording.synthetic else "recorded cards"
        notice = f"the cards shown are replayed ({kind}): {recording.about}"
        reader = ReplayReader(recording)
    elif not library_is_there():
        return None, "no NVIDIA driver library on this host: cards are not watched", None
    else:
        nvml = NvmlCollector(settings.gpu_timeout_s, lost=lost)
        reader = resetting = ResettingReader(nvml, settings.gpu_reset_command, post)
        ask = resetting.ask
    if settings.record is not None:
        reader = RecordingReader(reader, RecordingWriter(settings.record, "recorded"))
    return reader, notice, ask


class KernelLog:
    """The kernel's messages, and in the journal up to where they were read.

    What was read is not acted on again after a restart; what comes meanwhile is.
    """

    def __init__(self, settings: MonitorSettings, journal: Journal, inbox: Inbox) -> None:
        self._journal = journal
        self._reader: KmsgReader | None = None
        if settings.gpus.startswith("replay:"):
            return  # this host's kernel knows nothing of replayed cards
        boot, _, sequence = (journal.noted(_CURSOR) or "").partition(" ")
        self._noted = int(sequence) if boot == boot_id() and sequence.isdigit() else None
        reader = KmsgReader(
            lambda event: inbox.post(KernelSeen(event)),
            after=self._noted,
            path=settings.kernel_log,
        )
        self._reader = reader if reader.start() else None

    def recent(self) -> Sequence[str]:
        return () if self._reader is None else self._reader.recent()

    @property
    def cursor(self) -> int | None:
        """What was posted: all up to here."""
        return None if self._reader is None else self._reader.cursor

    def note(self, cursor: int | None) -> None:
        """What the loop has dealt with: all up to here."""
        if cursor is not None and cursor != self._noted:
            self._noted = cursor
            with contextlib.suppress(JournalError):
                self._journal.note(_CURSOR, f"{boot_id()} {cursor}")

    def stop(self) -> None:
        if self._reader is not None:
            self._reader.stop()
