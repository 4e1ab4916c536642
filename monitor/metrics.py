"""The table of the watchdog's metrics: names, help, labels, and where each value comes from.

Base units. A series that is not read does not exist: a card that cannot be read has its
`rankguard_gpu_up` at 0 and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from alerts.names import ALERT_NAMES
from alerts.snapshot import ReceiverSnapshot
from monitor.cardbook import CardView
from monitor.cardhealth import CardState
from monitor.certificate import Certificate
from monitor.gpu import Field
from monitor.host import HostSample
from monitor.model import CanaryOutcome, Health, Unavailable
from monitor.replica import Phase
from monitor.snapshot import ReplicaView, Snapshot

Sample = tuple[tuple[str, ...], float]


@dataclass(frozen=True, slots=True)
class Family:
    """One metric. Counters are named without `_total`; the exposition adds it.

    Attributes:
        labels: label names, in the order of the samples' values.
        read: the samples in a snapshot; a series that is not among them does not exist.
    """

    name: str
    kind: str
    help: str
    labels: tuple[str, ...]
    read: Callable[[Snapshot], Iterable[Sample]]


def _per_replica(value: Callable[[ReplicaView], float]) -> Callable[[Snapshot], Iterator[Sample]]:
    def read(snapshot: Snapshot) -> Iterator[Sample]:
        for view in snapshot.replicas:
            yield (view.replica.id,), value(view)

    return read


def _phases(snapshot: Snapshot) -> Iterator[Sample]:
    for view in snapshot.replicas:
        for phase in Phase:
            yield (view.replica.id, phase.value), float(view.replica.phase is phase)


def _healths(snapshot: Snapshot) -> Iterator[Sample]:
    for view in snapshot.replicas:
        health = None if view.verdict is None else view.verdict.health
        for one in Health:
            yield (view.replica.id, one.value), float(one is health)


RESTART_CAUSES = (
    "process_gone",
    "killed_by_signal",
    "out_of_memory",
    "exited",
    "drained",
    "engine_died",
    "start_failed",
    "no_progress",
    "process_stopped",
    "not_answering",
    "load_stalled",
    "canary_order",
    "canary_flat",
    "canary_drift",
    "canary_invalid",
    "canary_error",
    "gpu_lost",
    "gpu_needs_reset",
    "gpu_fault",
    "leak",
)
"""Every reason for which a replica is started again; each has its series from the start."""

INCIDENT_NAMES = tuple(ALERT_NAMES)
"""Every name under which an incident may be opened."""


def _restarts(snapshot: Snapshot) -> Iterator[Sample]:
    for view in snapshot.replicas:
        for cause in RESTART_CAUSES:
            key = (view.replica.id, cause)
            yield key, float(snapshot.counters.restarts.get(key, 0))


def _canaries(snapshot: Snapshot) -> Iterator[Sample]:
    for view in snapshot.replicas:
        for outcome in CanaryOutcome:
            key = (view.replica.id, outcome.value)
            yield key, float(snapshot.counters.canaries.get(key, 0))


def _incidents(snapshot: Snapshot) -> Iterator[Sample]:
    for name in INCIDENT_NAMES:
        yield (name,), float(snapshot.counters.incidents.get(name, 0))


def _open_incidents(snapshot: Snapshot) -> Iterator[Sample]:
    for name in INCIDENT_NAMES:
        yield (name,), float(sum(1 for one in snapshot.incidents if one.name == name))


def _gpu_memory(snapshot: Snapshot) -> Iterator[Sample]:
    for view in snapshot.replicas:
        if view.gpu_bytes is not None:
            yield (view.replica.id,), float(view.gpu_bytes)


def _progress(field: str) -> Callable[[Snapshot], Iterator[Sample]]:
    return _per_replica(
        lambda view: 0.0 if view.progress is None else float(getattr(view.progress, field) or 0.0)
    )


def _canary_seconds(view: ReplicaView) -> float:
    return 0.0 if view.canary is None else view.canary.ended - view.canary.began


def _single(value: Callable[[Snapshot], float]) -> Callable[[Snapshot], list[Sample]]:
    return lambda snapshot: [((), value(snapshot))]


_CARD_LABELS = ("uuid", "gpu", "model_name", "pci_bus_id")


def _card_labels(view: CardView) -> tuple[str, ...]:
    card = view.card
    return card.uuid, str(card.index), card.name, card.pci_bus_id


def _per_card_read(value: Callable[[CardView], float]) -> Callable[..., Iterator[Sample]]:
    """Of cards that could be read."""

    def read(snapshot: Snapshot) -> Iterator[Sample]:
        for view in snapshot.cards:
            if view.sample.fault is None:
                yield _card_labels(view), float(value(view))

    return read


def _per_card(value: Callable[[CardView], float]) -> Callable[[Snapshot], Iterator[Sample]]:
    def read(snapshot: Snapshot) -> Iterator[Sample]:
        for view in snapshot.cards:
            yield _card_labels(view), value(view)

    return read


def _reading(field: Field) -> Callable[[Snapshot], Iterator[Sample]]:
    def read(snapshot: Snapshot) -> Iterator[Sample]:
        for view in snapshot.cards:
            value = view.sample.number(field)
            if view.sample.fault is None and value is not None:
                yield _card_labels(view), value

    return read


def _card_states(snapshot: Snapshot) -> Iterator[Sample]:
    for view in snapshot.cards:
        for state in CardState:
            yield (*_card_labels(view), state.value), float(view.verdict.state is state)


_CLOCK_EVENTS = {
    # NVML's clocks event reasons (nvml.h)
    "power_cap": 0x4,
    "hw_slowdown": 0x8,
    "sw_thermal": 0x20,
    "hw_thermal": 0x40,
    "power_brake": 0x80,
}


def _clock_events(snapshot: Snapshot) -> Iterator[Sample]:
    for view in snapshot.cards:
        bits = view.sample.number(Field.CLOCK_REASONS)
        if view.sample.fault is None and bits is not None:
            for name, bit in _CLOCK_EVENTS.items():
                yield (*_card_labels(view), name), float(bool(int(bits) & bit))


_WATCHED_XIDS = (13, 31, 43, 48, 62, 63, 64, 74, 79, 92, 94, 95, 109, 119, 120, 154)
"""Codes that have their series from the start; others have theirs from their first event."""


def _xids(snapshot: Snapshot) -> Iterator[Sample]:
    for view in snapshot.cards:
        for xid in sorted({*_WATCHED_XIDS, *view.xids}):
            yield (*_card_labels(view), str(xid)), float(view.xids.get(xid, 0))


def _xid_times(snapshot: Snapshot) -> Iterator[Sample]:
    for view in snapshot.cards:
        for xid, at in sorted(view.last_xid_at.items()):
            yield (*_card_labels(view), str(xid)), at


def _round(value: Callable[[Snapshot], float]) -> Callable[[Snapshot], list[Sample]]:
    """Of the look at all cards; without a driver to look through there is no such series."""
    return lambda snapshot: [] if snapshot.gpus is None else [((), value(snapshot))]


def _driver_up(snapshot: Snapshot) -> float:
    driver = None if snapshot.gpus is None else snapshot.gpus.driver
    return float(driver is not None and not isinstance(driver, Unavailable))


def _host(value: Callable[[HostSample], float | None]) -> Callable[[Snapshot], list[Sample]]:
    def read(snapshot: Snapshot) -> list[Sample]:
        found = None if snapshot.host is None else value(snapshot.host)
        return [] if found is None else [((), float(found))]

    return read


def _disks(index: int) -> Callable[[Snapshot], list[Sample]]:
    def read(snapshot: Snapshot) -> list[Sample]:
        disks = {} if snapshot.host is None else snapshot.host.disks
        return [((path,), float(sizes[index])) for path, sizes in disks.items()]

    return read


def _per_receiver(
    value: Callable[[ReceiverSnapshot], float],
) -> Callable[[Snapshot], Iterator[Sample]]:
    def read(snapshot: Snapshot) -> Iterator[Sample]:
        for receiver in () if snapshot.delivery is None else snapshot.delivery.receivers:
            yield (receiver.name,), float(value(receiver))

    return read


def _certificates(value: Callable[[Certificate], float | None]) -> Callable[..., list[Sample]]:
    def read(snapshot: Snapshot) -> list[Sample]:
        found = ((one.target, value(one)) for one in snapshot.certificates)
        return [((target,), number) for target, number in found if number is not None]

    return read


METRICS: tuple[Family, ...] = (
    Family(
        "rankguard_watchdog_heartbeat_timestamp_seconds",
        "gauge",
        "Unix time of the loop's last round; one that stands still is a dead watchdog",
        (),
        _single(lambda snapshot: snapshot.at),
    ),
    Family(
        "rankguard_watchdog_start_timestamp_seconds",
        "gauge",
        "Unix time at which this watchdog started",
        (),
        _single(lambda snapshot: snapshot.started_at),
    ),
    Family(
        "rankguard_watchdog_tick_duration_seconds",
        "gauge",
        "How long the last round took",
        (),
        _single(lambda snapshot: snapshot.tick_s),
    ),
    Family(
        "rankguard_watchdog_ticks",
        "counter",
        "Rounds of the loop",
        (),
        _single(lambda snapshot: snapshot.counters.ticks),
    ),
    Family(
        "rankguard_watchdog_tick_errors",
        "counter",
        "Rounds in which looking after one replica raised",
        (),
        _single(lambda snapshot: snapshot.counters.tick_errors),
    ),
    Family(
        "rankguard_watchdog_journal_errors",
        "counter",
        "Writes that the journal refused",
        (),
        _single(lambda snapshot: snapshot.counters.journal_errors),
    ),
    Family(
        "rankguard_watchdog_verdict_errors",
        "counter",
        "Verdict files that could not be written",
        (),
        _single(lambda snapshot: snapshot.counters.board_errors),
    ),
    Family(
        "rankguard_watchdog_sink_errors",
        "counter",
        "Rounds in which alerts could not be stored for delivery",
        (),
        _single(lambda snapshot: snapshot.counters.sink_errors),
    ),
    Family(
        "rankguard_replica_routable",
        "gauge",
        "1 when the gateway may send traffic to this replica",
        ("replica",),
        _per_replica(lambda view: float(view.replica.routable)),
    ),
    Family(
        "rankguard_replica_phase",
        "gauge",
        "1 for the phase of its life in which a replica is",
        ("replica", "phase"),
        _phases,
    ),
    Family(
        "rankguard_replica_health",
        "gauge",
        "1 for the verdict on a replica",
        ("replica", "health"),
        _healths,
    ),
    Family(
        "rankguard_replica_generation",
        "gauge",
        "Generation of the present process",
        ("replica",),
        _per_replica(lambda view: float(view.replica.generation)),
    ),
    Family(
        "rankguard_replica_restarts",
        "counter",
        "Restarts that nobody asked for, by cause",
        ("replica", "cause"),
        _restarts,
    ),
    Family(
        "rankguard_replica_in_flight_documents",
        "gauge",
        "Documents being scored",
        ("replica",),
        _progress("in_flight"),
    ),
    Family(
        "rankguard_replica_oldest_in_flight_seconds",
        "gauge",
        "Age of the oldest job in flight",
        ("replica",),
        _progress("oldest_in_flight_s"),
    ),
    Family(
        "rankguard_replica_completed_documents",
        "counter",
        "Documents scored by the present process",
        ("replica",),
        _progress("completed"),
    ),
    Family(
        "rankguard_replica_failed_documents",
        "counter",
        "Documents that the present process could not score",
        ("replica",),
        _progress("failed"),
    ),
    Family(
        "rankguard_replica_unscored_documents",
        "counter",
        "Users' documents for which the present process's model gave NaN or an infinite score",
        ("replica",),
        _progress("unscored"),
    ),
    Family(
        "rankguard_replica_prefix_lookup_tokens",
        "counter",
        "Prompt tokens that the present process looked up in the engine's prefix cache",
        ("replica",),
        _progress("prefix_looked_up"),
    ),
    Family(
        "rankguard_replica_prefix_hit_tokens",
        "counter",
        "Prompt tokens found in the engine's prefix cache, so not computed again",
        ("replica",),
        _progress("prefix_found"),
    ),
    Family(
        "rankguard_replica_engine_steps",
        "counter",
        "Forward passes of the present process",
        ("replica",),
        _progress("steps"),
    ),
    Family(
        "rankguard_replica_served_documents",
        "counter",
        "Users' documents that the present process answered",
        ("replica",),
        _progress("served"),
    ),
    Family(
        "rankguard_replica_busy_seconds",
        "counter",
        "Time for which the present process had any user's work in flight",
        ("replica",),
        _progress("busy_s"),
    ),
    Family(
        "rankguard_replica_gpu_memory_bytes",
        "gauge",
        "Memory that the replica's processes hold on cards, where the driver tells",
        ("replica",),
        _gpu_memory,
    ),
    Family(
        "rankguard_replica_resident_bytes",
        "gauge",
        "Memory that the replica's processes hold, looked at every half minute",
        ("replica",),
        _per_replica(lambda view: float(view.resident_bytes)),
    ),
    Family(
        "rankguard_canary_runs",
        "counter",
        "Canaries by outcome",
        ("replica", "outcome"),
        _canaries,
    ),
    Family(
        "rankguard_canary_duration_seconds",
        "gauge",
        "How long the last canary took, all its cases together",
        ("replica",),
        _per_replica(_canary_seconds),
    ),
    Family(
        "rankguard_incidents",
        "counter",
        "Incidents opened since this watchdog started",
        ("name",),
        _incidents,
    ),
    Family(
        "rankguard_incidents_open",
        "gauge",
        "Incidents that are open now",
        ("name",),
        _open_incidents,
    ),
    Family(
        "rankguard_replicas_wanted",
        "gauge",
        "Replicas that there shall be",
        (),
        _single(lambda snapshot: snapshot.wanted),
    ),
    Family(
        "rankguard_watchdog_dropped_observations",
        "counter",
        "Observations that came while the loop was too far behind",
        (),
        _single(lambda snapshot: snapshot.counters.dropped),
    ),
    Family(
        "rankguard_watchdog_dropped_log_lines",
        "counter",
        "Lines of the watchdog's log that nobody took from its standard error in time",
        (),
        _single(lambda snapshot: snapshot.dropped_lines),
    ),
    Family("rankguard_gpu_driver_up", "gauge", "1 when the driver answers", (), _round(_driver_up)),
    Family(
        "rankguard_gpu_read_duration_seconds",
        "gauge",
        "How long the last look at all cards took",
        (),
        _round(lambda snapshot: 0.0 if snapshot.gpus is None else snapshot.gpus.took_s),
    ),
    Family(
        "rankguard_gpu_readers_abandoned",
        "counter",
        "Reader processes that could not even be killed",
        (),
        _round(lambda snapshot: 0.0 if snapshot.gpus is None else snapshot.gpus.abandoned),
    ),
    Family(
        "rankguard_gpu_up",
        "gauge",
        "1 when the card could be read",
        _CARD_LABELS,
        _per_card(lambda view: float(view.sample.fault is None)),
    ),
    Family(
        "rankguard_gpu_state",
        "gauge",
        "1 for what the card is fit for",
        (*_CARD_LABELS, "state"),
        _card_states,
    ),
    Family(
        "rankguard_gpu_cordoned",
        "gauge",
        "1 while an operator keeps the card out of use",
        _CARD_LABELS,
        _per_card(lambda view: float(view.cordoned)),
    ),
    Family(
        "rankguard_gpu_memory_total_bytes",
        "gauge",
        "Memory of the card",
        _CARD_LABELS,
        _reading(Field.MEMORY_TOTAL),
    ),
    Family(
        "rankguard_gpu_memory_used_bytes",
        "gauge",
        "Memory in use, without what the driver reserves",
        _CARD_LABELS,
        _reading(Field.MEMORY_USED),
    ),
    Family(
        "rankguard_gpu_memory_reserved_bytes",
        "gauge",
        "Memory that the driver reserves",
        _CARD_LABELS,
        _reading(Field.MEMORY_RESERVED),
    ),
    Family(
        "rankguard_gpu_stranger_memory_bytes",
        "gauge",
        "Memory of the card that processes hold which are no replica",
        _CARD_LABELS,
        _per_card_read(lambda view: view.tenancy.others_bytes),
    ),
    Family(
        "rankguard_gpu_utilization_ratio",
        "gauge",
        "Share of time in which some kernel ran, 0 to 1",
        _CARD_LABELS,
        _reading(Field.UTILIZATION),
    ),
    Family(
        "rankguard_gpu_memory_utilization_ratio",
        "gauge",
        "Share of time in which memory was read or written, 0 to 1",
        _CARD_LABELS,
        _reading(Field.MEMORY_UTILIZATION),
    ),
    Family(
        "rankguard_gpu_temperature_celsius",
        "gauge",
        "Temperature of the card",
        _CARD_LABELS,
        _reading(Field.TEMPERATURE),
    ),
    Family(
        "rankguard_gpu_temperature_slowdown_celsius",
        "gauge",
        "Temperature at which this card slows down",
        _CARD_LABELS,
        _reading(Field.TEMPERATURE_SLOWDOWN),
    ),
    Family(
        "rankguard_gpu_power_watts", "gauge", "Power drawn", _CARD_LABELS, _reading(Field.POWER)
    ),
    Family(
        "rankguard_gpu_power_limit_watts",
        "gauge",
        "Power limit in force",
        _CARD_LABELS,
        _reading(Field.POWER_LIMIT),
    ),
    Family(
        "rankguard_gpu_energy_joules",
        "counter",
        "Energy since the driver was loaded",
        _CARD_LABELS,
        _reading(Field.ENERGY),
    ),
    Family(
        "rankguard_gpu_sm_clock_hertz",
        "gauge",
        "Clock of the multiprocessors",
        _CARD_LABELS,
        _reading(Field.SM_CLOCK),
    ),
    Family(
        "rankguard_gpu_memory_clock_hertz",
        "gauge",
        "Clock of the memory",
        _CARD_LABELS,
        _reading(Field.MEMORY_CLOCK),
    ),
    Family(
        "rankguard_gpu_ecc_corrected",
        "counter",
        "Corrected memory errors since the last reset",
        _CARD_LABELS,
        _reading(Field.ECC_CORRECTED),
    ),
    Family(
        "rankguard_gpu_ecc_uncorrected",
        "counter",
        "Uncorrected memory errors since the last reset",
        _CARD_LABELS,
        _reading(Field.ECC_UNCORRECTED),
    ),
    Family(
        "rankguard_gpu_ecc_corrected_lifetime",
        "counter",
        "Corrected memory errors over the card's life",
        _CARD_LABELS,
        _reading(Field.ECC_CORRECTED_LIFE),
    ),
    Family(
        "rankguard_gpu_ecc_uncorrected_lifetime",
        "counter",
        "Uncorrected memory errors over the card's life",
        _CARD_LABELS,
        _reading(Field.ECC_UNCORRECTED_LIFE),
    ),
    Family(
        "rankguard_gpu_remapped_rows_corrected",
        "gauge",
        "Rows remapped for corrected errors",
        _CARD_LABELS,
        _reading(Field.REMAPPED_CORRECTED),
    ),
    Family(
        "rankguard_gpu_remapped_rows_uncorrected",
        "gauge",
        "Rows remapped for uncorrected errors",
        _CARD_LABELS,
        _reading(Field.REMAPPED_UNCORRECTED),
    ),
    Family(
        "rankguard_gpu_row_remap_pending",
        "gauge",
        "1 when a row will be remapped at the next reset",
        _CARD_LABELS,
        _reading(Field.REMAP_PENDING),
    ),
    Family(
        "rankguard_gpu_row_remap_failed",
        "gauge",
        "1 when a row could not be remapped",
        _CARD_LABELS,
        _reading(Field.REMAP_FAILED),
    ),
    Family(
        "rankguard_gpu_retired_pages_pending",
        "gauge",
        "1 when a page will be retired at the next reset",
        _CARD_LABELS,
        _reading(Field.RETIRED_PENDING),
    ),
    Family(
        "rankguard_gpu_pcie_replays",
        "counter",
        "Replays on the PCIe link",
        _CARD_LABELS,
        _reading(Field.PCIE_REPLAYS),
    ),
    Family(
        "rankguard_gpu_pcie_link_generation",
        "gauge",
        "Present generation of the PCIe link",
        _CARD_LABELS,
        _reading(Field.PCIE_GENERATION),
    ),
    Family(
        "rankguard_gpu_pcie_link_width",
        "gauge",
        "Present lanes of the PCIe link",
        _CARD_LABELS,
        _reading(Field.PCIE_WIDTH),
    ),
    Family(
        "rankguard_gpu_nvlinks_down",
        "gauge",
        "NVLinks that are not active",
        _CARD_LABELS,
        _reading(Field.NVLINK_DOWN),
    ),
    Family(
        "rankguard_gpu_nvlink_errors",
        "counter",
        "Recoveries on all NVLinks",
        _CARD_LABELS,
        _reading(Field.NVLINK_ERRORS),
    ),
    Family(
        "rankguard_gpu_recovery_action",
        "gauge",
        "Asked by the driver: 0 no 1 reset 2 reboot 3 drain 4 drain, reset 5 IMEX 6 bus 7 system",
        _CARD_LABELS,
        _reading(Field.RECOVERY_ACTION),
    ),
    Family(
        "rankguard_gpu_mig_enabled",
        "gauge",
        "1 when the card is partitioned (MIG)",
        _CARD_LABELS,
        _reading(Field.MIG),
    ),
    Family(
        "rankguard_gpu_clock_event",
        "gauge",
        "1 while clocks are held down, by reason",
        (*_CARD_LABELS, "reason"),
        _clock_events,
    ),
    Family(
        "rankguard_gpu_xids",
        "counter",
        "XIDs by code, from NVML and the kernel log together",
        (*_CARD_LABELS, "xid"),
        _xids,
    ),
    Family(
        "rankguard_gpu_xid_last_timestamp_seconds",
        "gauge",
        "Unix time of the last XID of this code",
        (*_CARD_LABELS, "xid"),
        _xid_times,
    ),
    Family(
        "rankguard_host_cpu_ratio",
        "gauge",
        "Share of all CPUs in use, 0 to 1",
        (),
        _host(lambda host: host.cpu_ratio),
    ),
    Family(
        "rankguard_host_cpu_pressure_ratio",
        "gauge",
        "Share of the last minute in which something waited for a CPU (PSI)",
        (),
        _host(lambda host: host.cpu_pressure),
    ),
    Family(
        "rankguard_host_memory_available_bytes",
        "gauge",
        "Memory that could be used without swapping",
        (),
        _host(lambda host: host.memory_available),
    ),
    Family(
        "rankguard_host_memory_total_bytes",
        "gauge",
        "Memory of the host",
        (),
        _host(lambda host: host.memory_total),
    ),
    Family(
        "rankguard_host_swap_used_bytes",
        "gauge",
        "Swap in use",
        (),
        _host(lambda host: host.swap_used),
    ),
    Family(
        "rankguard_host_disk_free_bytes",
        "gauge",
        "Free bytes on the disk that holds this path",
        ("path",),
        _disks(0),
    ),
    Family(
        "rankguard_host_disk_total_bytes",
        "gauge",
        "Size of the disk that holds this path",
        ("path",),
        _disks(1),
    ),
    Family(
        "rankguard_certificate_valid",
        "gauge",
        "Whether a TLS client gets a valid certificate at this address ([monitor] certificates)",
        ("target",),
        _certificates(lambda one: float(one.expires_at is not None)),
    ),
    Family(
        "rankguard_certificate_expiry_timestamp_seconds",
        "gauge",
        "Unix time at which the certificate at this address expires",
        ("target",),
        _certificates(lambda one: one.expires_at),
    ),
    Family(
        "rankguard_watchdog_open_files",
        "gauge",
        "Open files of the watchdog",
        (),
        _host(lambda host: host.open_files),
    ),
    Family(
        "rankguard_alerts_pending",
        "gauge",
        "Messages that wait for delivery",
        ("receiver",),
        _per_receiver(lambda one: one.pending),
    ),
    Family(
        "rankguard_alerts_given_up",
        "gauge",
        "Messages that were given up and are kept for a person to see",
        ("receiver",),
        _per_receiver(lambda one: one.failed),
    ),
    Family(
        "rankguard_alerts_oldest_pending_seconds",
        "gauge",
        "Age of the oldest message that waits",
        ("receiver",),
        _per_receiver(lambda one: one.oldest_age_s or 0.0),
    ),
    Family(
        "rankguard_alerts_sent",
        "counter",
        "Messages delivered",
        ("receiver",),
        _per_receiver(lambda one: one.sent_total),
    ),
    Family(
        "rankguard_alerts_tries_failed",
        "counter",
        "Tries that failed",
        ("receiver",),
        _per_receiver(lambda one: one.failed_total),
    ),
)
"""Every metric of the watchdog."""
