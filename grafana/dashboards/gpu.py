"""The cards in detail. A series that ends is a card that cannot be read: no old value is shown."""

from __future__ import annotations

from grafana.panel import (
    BAD_AT_ONE,
    DOWN_UP,
    HOST,
    Dashboard,
    Look,
    Panel,
    Query,
    Row,
    Unit,
    Variable,
    Word,
)

GPU = Variable("gpu", "GPU", 'rankguard_gpu_up{host=~"$host"}', "uuid")
_CARD = '{host=~"$host", uuid=~"$gpu"}'
_NAME = "{{host}} GPU {{gpu}}"


def _lines(
    title: str,
    description: str,
    unit: Unit,
    *queries: Query,
    width: int = 8,
    runbooks: tuple[str, ...] = (),
    none: str = "",
) -> Panel:
    return Panel(
        Look.LINES,
        title,
        description,
        unit,
        queries,
        width=width,
        least=0.0,
        runbooks=runbooks,
        none=none,
    )


def _reading(metric: str, suffix: str = "") -> Query:
    return Query(f"rankguard_gpu_{metric}{_CARD}", f"{_NAME}{suffix}")


_STATE = Row(
    "State",
    (
        Panel(
            Look.STATES,
            "Cards",
            "Whether each card could be read. Down is lost, hung or in need of a reset.",
            Unit.NONE,
            (_reading("up"),),
            width=12,
            words=DOWN_UP,
            runbooks=("GpuLost",),
        ),
        Panel(
            Look.STATES,
            "Fit for",
            "What the watchdog thinks of each card: ok, warning (serves, look at it), unknown"
            " (cannot be read), unusable (nothing may run on it).",
            Unit.NONE,
            (Query(f"rankguard_gpu_state{_CARD} == 1", f"{_NAME}: {{{{state}}}}"),),
            width=12,
            none="no cards",
            words=(Word(1, "·", "blue"),),
        ),
        Panel(
            Look.STAT,
            "Drivers that do not answer",
            "Hosts whose NVIDIA driver says nothing. Alert: RankguardGpuDriverDown.",
            Unit.NONE,
            (
                Query(
                    'count(rankguard_gpu_driver_up{host=~"$host"} == 0)'
                    ' or 0 * count(rankguard_gpu_driver_up{host=~"$host"})',
                    "drivers",
                ),
            ),
            width=6,
            height=5,
            steps=BAD_AT_ONE,
            runbooks=("DriverUnavailable",),
        ),
        Panel(
            Look.STAT,
            "Recovery actions wanted",
            "Cards for which the driver asks for a reset or more. Alert:"
            " RankguardGpuRecoveryAction.",
            Unit.NONE,
            (
                Query(
                    f"count(rankguard_gpu_recovery_action{_CARD} > 0)"
                    f" or 0 * count(rankguard_gpu_recovery_action{_CARD})",
                    "cards",
                ),
            ),
            width=6,
            height=5,
            steps=BAD_AT_ONE,
            runbooks=("GpuResetRequired",),
        ),
        Panel(
            Look.STAT,
            "Cordoned",
            "Cards that an operator keeps out of use: `rankguard gpu uncordon` brings them back.",
            Unit.NONE,
            (Query(f"sum(rankguard_gpu_cordoned{_CARD})", "cards"),),
            width=6,
            height=5,
            steps=((None, "green"), (1.0, "yellow")),
        ),
        Panel(
            Look.STAT,
            "Partitioned (MIG)",
            "Cards that are partitioned: their instances are what is placed, not the card.",
            Unit.NONE,
            (Query(f"sum(rankguard_gpu_mig_enabled{_CARD})", "cards"),),
            width=6,
            height=5,
        ),
    ),
)

_WORK = Row(
    "Work",
    (
        _lines(
            "Utilization",
            "Share of time in which some kernel ran. Near 1 under load is normal and says nothing"
            " about how much more fits: look at the queue for that.",
            Unit.RATIO,
            _reading("utilization_ratio"),
            _reading("memory_utilization_ratio", " memory"),
        ),
        _lines(
            "Memory",
            "In use, without what the driver reserves. vLLM takes its share at the start.",
            Unit.BYTES,
            _reading("memory_used_bytes"),
            _reading("memory_reserved_bytes", " reserved"),
        ),
        _lines(
            "Memory in use",
            "Share of the card's memory, and what processes hold that are no replica. With much of"
            " it held by others, replicas start on another card.",
            Unit.RATIO,
            Query(
                f"rankguard_gpu_memory_used_bytes{_CARD} / rankguard_gpu_memory_total_bytes{_CARD}",
                _NAME,
            ),
            Query(
                f"rankguard_gpu_stranger_memory_bytes{_CARD}"
                f" / rankguard_gpu_memory_total_bytes{_CARD}",
                f"{_NAME} strangers",
            ),
            runbooks=("GpuMemoryHeldByStranger",),
        ),
        _lines(
            "Clocks",
            "Clock of the multiprocessors and of the memory. A drop under load is heat or power.",
            Unit.HERTZ,
            _reading("sm_clock_hertz"),
            _reading("memory_clock_hertz", " memory"),
        ),
        Panel(
            Look.STATES,
            "Clocks held down by",
            "Why the clocks are lower than they could be. A power cap is how a card is run; hw and"
            " thermal are faults. Alert: RankguardGpuThermal.",
            Unit.NONE,
            (Query(f"rankguard_gpu_clock_event{_CARD} == 1", f"{_NAME}: {{{{reason}}}}"),),
            width=16,
            words=(Word(1, "·", "orange"),),
            none="nothing holds them down",
            runbooks=("GpuThermal",),
        ),
    ),
)

_HEAT = Row(
    "Heat and power",
    (
        _lines(
            "Temperature",
            "Of the card. What is too much differs by model: the next panel shows the distance.",
            Unit.CELSIUS,
            _reading("temperature_celsius"),
        ),
        _lines(
            "Degrees until it slows down",
            "Distance to the card's own slowdown temperature; at 0 it gets slower.",
            Unit.CELSIUS,
            Query(
                f"rankguard_gpu_temperature_slowdown_celsius{_CARD}"
                f" - rankguard_gpu_temperature_celsius{_CARD}",
                _NAME,
            ),
            runbooks=("GpuThermal",),
        ),
        _lines(
            "Power",
            "Drawn now, and the limit in force.",
            Unit.WATTS,
            _reading("power_watts"),
            _reading("power_limit_watts", " limit"),
        ),
        _lines(
            "Energy per thousand documents",
            "Joules of all chosen cards for a thousand documents: what a rerank costs.",
            Unit.NONE,
            Query(
                f"1000 * sum by (host) (rate(rankguard_gpu_energy_joules_total{_CARD}[5m]))"
                # what is burnt without any work is not a price per document
                ' / (sum by (host) (rate(rankguard_documents_total{host=~"$host"}[5m])) > 0)',
                "{{host}}",
            ),
        ),
    ),
)

_FAULTS = Row(
    "Faults",
    (
        _lines(
            "XIDs per hour",
            "Driver errors by code, from NVML and the kernel log. 13, 31, 43 are programs; 48, 62,"
            " 64, 95, 119, 120 want a reset; 79 is a card off the bus.",
            Unit.NONE,
            Query(f"increase(rankguard_gpu_xids_total{_CARD}[1h]) > 0", f"{_NAME} XID {{{{xid}}}}"),
            runbooks=("GpuXid",),
            none="no XIDs",
        ),
        Panel(
            Look.TABLE,
            "Age of the last XIDs",
            "Seconds since the last XID of each code: counters miss a series' first event, this"
            " does not.",
            Unit.SECONDS,
            (Query(f"time() - rankguard_gpu_xid_last_timestamp_seconds{_CARD}"),),
            none="no XIDs",
        ),
        _lines(
            "Memory errors",
            "Corrected and uncorrected since the last reset. Any uncorrected one makes scores"
            " doubtful. Alert: RankguardGpuEccUncorrected.",
            Unit.NONE,
            _reading("ecc_corrected_total", " corrected"),
            _reading("ecc_uncorrected_total", " uncorrected"),
            runbooks=("GpuEcc",),
        ),
        _lines(
            "Memory errors of a lifetime",
            "Over the card's whole life: for the decision to replace it.",
            Unit.NONE,
            _reading("ecc_corrected_lifetime_total", " corrected"),
            _reading("ecc_uncorrected_lifetime_total", " uncorrected"),
        ),
        _lines(
            "Rows",
            "Rows that were remapped, pending until a reset, or could not be remapped (1 is bad).",
            Unit.NONE,
            _reading("remapped_rows_corrected", " corrected"),
            _reading("remapped_rows_uncorrected", " uncorrected"),
            _reading("row_remap_pending", " pending"),
            _reading("retired_pages_pending", " pages pending"),
            _reading("row_remap_failed", " FAILED"),
            runbooks=("GpuRowRemapFailed",),
        ),
        _lines(
            "Links",
            "PCIe lanes and generation, and NVLinks that are not active.",
            Unit.NONE,
            _reading("pcie_link_width", " lanes"),
            _reading("pcie_link_generation", " generation"),
            _reading("nvlinks_down", " NVLinks down"),
        ),
        _lines(
            "Link errors per minute",
            "Replays on PCIe and recoveries on NVLink: cabling, risers, contacts.",
            Unit.NONE,
            Query(
                f"rate(rankguard_gpu_pcie_replays_total{_CARD}[$__rate_interval]) * 60",
                f"{_NAME} PCIe",
            ),
            Query(
                f"rate(rankguard_gpu_nvlink_errors_total{_CARD}[$__rate_interval]) * 60",
                f"{_NAME} NVLink",
            ),
        ),
        _lines(
            "Time to read all cards",
            "A driver that gets slow here hangs next. Alert: RankguardGpuDataStale.",
            Unit.SECONDS,
            Query('rankguard_gpu_read_duration_seconds{host=~"$host"}', "{{host}}"),
        ),
        _lines(
            "Readers that could not be killed",
            "Processes stuck in the driver: they go when the driver lets them, or at a reboot.",
            Unit.NONE,
            Query('rankguard_gpu_readers_abandoned_total{host=~"$host"}', "{{host}}"),
        ),
    ),
)

CARDS = Dashboard(
    "rankguard-gpu",
    "rankguard / GPUs",
    "State, work, heat, power and faults of every card.",
    (HOST, GPU),
    (_STATE, _WORK, _HEAT, _FAULTS),
)
