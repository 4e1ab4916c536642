"""What may be wrong with the cards. Classes and limits are those by which the watchdog judges."""

from __future__ import annotations

from deploy.render.rules.model import AlertRule, Group, Severity, duration
from monitor.cardhealth import CardLimits
from monitor.settings import MonitorSettings
from monitor.xid import XidClass, classify

_LARGEST_XID = 250
_XID_LOOK_S = 600
_APP_XIDS = 3
_CORRECTED_STORM = 1000
_MISSED_READS = 5.0
_CARD = "{{ $labels.host }}: GPU {{ $labels.gpu }} ({{ $labels.uuid }})"
_ABOUT = ("gpu_uuid",)


def gpu(monitor: MonitorSettings) -> Group:
    """Rules on cards; none when the watchdog reads no cards."""
    if monitor.gpus == "none":
        return Group("rankguard-gpu")
    limits = CardLimits()
    return Group(
        "rankguard-gpu",
        alerts=(*_reading(monitor), *_xids(), *_memory(), *_heat(limits), *_links()),
    )


def codes(*classes: XidClass) -> str:
    """All XIDs of some classes, as a regular expression."""
    wanted = set(classes)
    return "|".join(str(xid) for xid in range(_LARGEST_XID) if classify(xid) in wanted)


def _reading(monitor: MonitorSettings) -> tuple[AlertRule, ...]:
    slow_s = _MISSED_READS * max(monitor.gpu_timeout_s, monitor.poll_s)
    return (
        AlertRule(
            name="RankguardGpuDriverDown",
            expr="rankguard_gpu_driver_up == 0",
            severity=Severity.CRITICAL,
            hold="1m",
            summary="{{ $labels.host }}: the NVIDIA driver does not answer",
            action="nvidia-smi on the host; dmesg for NVRM. A driver that was upgraded under"
            " running processes needs a reload, one that hangs a reboot.",
            same_as="DriverUnavailable",
        ),
        AlertRule(
            name="RankguardGpuDown",
            expr="rankguard_gpu_up == 0",
            severity=Severity.CRITICAL,
            hold="1m",
            summary=f"{_CARD} cannot be read; its readings are gone, not old",
            action="The card is lost, hangs or needs a reset: `rankguard status` has the reason."
            " The watchdog moves what ran on it.",
            same_as="GpuLost",
            about=_ABOUT,
        ),
        AlertRule(
            name="RankguardGpuMissing",
            # a count of nothing is no value: without the driver's, an only card would not be missed
            expr="(count by (host) (rankguard_gpu_up)"
            " or 0 * max by (host) (rankguard_gpu_driver_up))\n"
            "< max_over_time(count by (host) (rankguard_gpu_up)[6h:5m])",
            severity=Severity.CRITICAL,
            hold="5m",
            summary="{{ $labels.host }}: {{ $value }} cards are there, there were more",
            action="A card can vanish without an XID: lspci | grep -i nvidia, then dmesg.",
        ),
        AlertRule(
            name="RankguardGpuDataStale",
            expr=f"rankguard_gpu_read_duration_seconds > {slow_s:g}\n"
            "or increase(rankguard_gpu_readers_abandoned_total[15m]) > 0",
            severity=Severity.WARNING,
            hold="1m",
            summary="{{ $labels.host }}: reading the cards takes {{ $value | humanize }}"
            " (seconds, or readers that could not be killed)",
            action="The driver answers late or not at all for some card: dmesg, and plan a reboot.",
        ),
    )


def _xids() -> tuple[AlertRule, ...]:
    bad = codes(XidClass.RESET_GPU, XidClass.REBOOT_HOST)
    odd = codes(XidClass.FOLLOW_UP)
    app = codes(XidClass.RESTART_APP)
    last = "time() - rankguard_gpu_xid_last_timestamp_seconds"
    return (
        AlertRule(
            name="RankguardXidReset",
            # the time of the last one, since increase() does not see a series' first event
            expr=f'{last}{{xid=~"{bad}"}} < {_XID_LOOK_S}',
            severity=Severity.CRITICAL,
            summary=f"{_CARD}: XID {{{{ $labels.xid }}}}: the card must be reset, or the host"
            " rebooted",
            action="Nothing may run on it until then. The watchdog moved its replica; drain the"
            " host if it has no other card.",
            same_as="GpuResetRequired",
            about=_ABOUT,
        ),
        AlertRule(
            name="RankguardXidFollowUp",
            expr=f'{last}{{xid=~"{odd}"}} < {_XID_LOOK_S}',
            severity=Severity.WARNING,
            summary=f"{_CARD}: XID {{{{ $labels.xid }}}} has to be looked into",
            action="NVIDIA's XID catalogue names the steps: double-bit errors (48), NVLink (74,"
            " 144-150), power and firmware.",
            same_as="GpuXid",
            about=_ABOUT,
        ),
        AlertRule(
            name="RankguardXidApplication",
            expr=f'increase(rankguard_gpu_xids_total{{xid=~"{app}"}}[1h]) >= {_APP_XIDS}',
            severity=Severity.WARNING,
            summary=f"{_CARD}: XID {{{{ $labels.xid }}}} {{{{ $value | humanize }}}} times in an"
            " hour; the program that runs there fails again and again",
            action="One such XID costs a restart. Many on one card are the card; many on all"
            " cards are the program or the driver.",
            same_as="GpuXid",
            about=_ABOUT,
        ),
    )


def _memory() -> tuple[AlertRule, ...]:
    return (
        AlertRule(
            name="RankguardGpuEccUncorrected",
            expr="rankguard_gpu_ecc_uncorrected_total > 0",
            severity=Severity.CRITICAL,
            summary=f"{_CARD}: {{{{ $value }}}} uncorrected memory errors since its last reset",
            action="Scores from it cannot be trusted. Drain it, reset it, watch the canary.",
            same_as="GpuEcc",
            about=_ABOUT,
        ),
        AlertRule(
            name="RankguardGpuEccStorm",
            expr=f"increase(rankguard_gpu_ecc_corrected_total[10m]) > {_CORRECTED_STORM}",
            severity=Severity.WARNING,
            summary=f"{_CARD}: {{{{ $value | humanize }}}} corrected memory errors in 10 minutes",
            action="A storm slows the card and the driver, and uncorrected ones follow: plan its"
            " replacement.",
        ),
        AlertRule(
            name="RankguardGpuRowRemapFailed",
            expr="rankguard_gpu_row_remap_failed == 1",
            severity=Severity.CRITICAL,
            summary=f"{_CARD}: a row of memory could not be remapped",
            action="The card has no spare rows left: replace it (RMA).",
            same_as="GpuRowRemapFailed",
            about=_ABOUT,
        ),
        AlertRule(
            name="RankguardGpuRowRemapPending",
            expr="rankguard_gpu_row_remap_pending == 1\n"
            "or rankguard_gpu_retired_pages_pending == 1",
            severity=Severity.WARNING,
            hold="1m",
            summary=f"{_CARD}: a bad row is replaced at the next reset",
            action="Drain its replica and reset the card at a quiet hour.",
        ),
        AlertRule(
            name="RankguardGpuMemoryHeldByStranger",
            expr='rankguard_incidents_open{name="GpuMemoryHeldByStranger"} > 0',
            severity=Severity.WARNING,
            hold="2m",
            summary="{{ $labels.host }}: somebody else holds memory of a card that a replica needs",
            action="`rankguard doctor` names the process.",
            same_as="GpuMemoryHeldByStranger",
        ),
    )


def _heat(limits: CardLimits) -> tuple[AlertRule, ...]:
    hold = duration(max(60.0, limits.heat_s))
    return (
        AlertRule(
            name="RankguardGpuThermal",
            expr='max by (host, gpu, uuid) (rankguard_gpu_clock_event{reason=~"hw_thermal|'
            'hw_slowdown|power_brake"}) == 1\n'
            "or rankguard_gpu_temperature_celsius >= rankguard_gpu_temperature_slowdown_celsius",
            severity=Severity.WARNING,
            hold=hold,
            summary=f"{_CARD} is too hot or short of power and slows down",
            action="Fans, airflow, ambient temperature, power supply. Latency rises first.",
            same_as="GpuThermal",
            about=_ABOUT,
        ),
        AlertRule(
            name="RankguardGpuRecoveryAction",
            expr="rankguard_gpu_recovery_action > 0",
            severity=Severity.CRITICAL,
            hold="30s",
            summary=f"{_CARD}: the driver asks for recovery action {{{{ $value }}}}",
            action="1 reset, 2 reboot, 3 drain peers, 4 drain and reset, 5 IMEX domain, 6 bus"
            " reset, 7 reboot the system.",
            same_as="GpuResetRequired",
            about=_ABOUT,
        ),
    )


def _links() -> tuple[AlertRule, ...]:
    return (
        AlertRule(
            name="RankguardGpuNvlinkDown",
            expr="rankguard_gpu_nvlinks_down\n> min_over_time(rankguard_gpu_nvlinks_down[1d])",
            severity=Severity.WARNING,
            hold="5m",
            summary=f"{_CARD}: {{{{ $value }}}} NVLinks are down, more than a day ago",
            action="Matters to models on several cards. dmesg for XID 74; a reset brings it back,"
            " or it is hardware.",
        ),
        AlertRule(
            name="RankguardGpuPcieNarrow",
            expr="rankguard_gpu_pcie_link_width < max_over_time(rankguard_gpu_pcie_link_width[7d])",
            severity=Severity.WARNING,
            hold="15m",
            summary=f"{_CARD}: its PCIe link has {{{{ $value }}}} lanes, it had more",
            action="Reseat the card or its riser at the next maintenance; loading a model takes"
            " longer until then.",
        ),
    )
