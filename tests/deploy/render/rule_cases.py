"""For every alert rule: series on which it fires, and series on which it does not.

A case is (series, minute): the series as promtool reads them, one sample a minute from minute 0,
and the minute at which the rule is looked at.
"""

from __future__ import annotations

HOST = 'host="gpu-1"'
GATEWAY = 'job="rankguard-gateway", instance="gpu-1:8000", host="gpu-1"'
WATCHDOG = 'job="rankguard-watchdog", instance="gpu-1:9400", host="gpu-1"'
REPLICA = f'{WATCHDOG}, replica="replica-0"'


def gateway(name, values, /, **labels):
    return _series(name, GATEWAY, values, labels)


def watchdog(name, values, /, **labels):
    return _series(name, WATCHDOG, values, labels)


def card(name, values, /, *, number=0, **labels):
    target = f'{WATCHDOG}, uuid="GPU-{number}", gpu="{number}", model_name="NVIDIA H100"'
    return _series(name, target, values, labels)


def _series(name, target, values, labels):
    own = "".join(f', {key}="{value}"' for key, value in labels.items())
    return f"{name}{{{target}{own}}}", values


def traffic(minutes, *, good=0, failed=0):
    """So many requests a minute with status 200 and 503, for so many minutes."""
    return [
        gateway(
            "rankguard_requests_total", f"0+{good}x{minutes}", route="/v1/rerank", status="200"
        ),
        gateway(
            "rankguard_requests_total", f"0+{failed}x{minutes}", route="/v1/rerank", status="503"
        ),
    ]


def timed(minutes, *, in_time, late, le="0.38"):
    """So many requests a minute within and over the objective."""
    every = in_time + late
    name = "rankguard_request_duration_seconds"
    return [
        gateway(
            "rankguard_requests_total", f"0+{every}x{minutes}", route="/v1/rerank", status="200"
        ),
        gateway(f"{name}_bucket", f"0+{in_time}x{minutes}", route="/v1/rerank", le=le),
        gateway(f"{name}_count", f"0+{every}x{minutes}", route="/v1/rerank"),
    ]


def burst(quiet, then, minutes, **labels):
    """A counter that stands for `quiet` minutes and then grows by `then` a minute."""
    return f"0+0x{quiet} {then}+{then}x{minutes}"


CERTIFICATE = "rankguard_certificate"
AT = {"target": "search.example.com:443"}
DAY = 300  # a rate over a day that is five hours old is the same ratio

CASES = {
    "RankguardErrorBudgetBurnFast": {
        "fires": (traffic(70, good=98, failed=2), 68),
        "quiet": (traffic(70, good=99, failed=1), 68),
        # 24 requests in all: on the day of the installation one failure is not an outage
        "quiet on a new host": (traffic(12, good=1, failed=1), 12),
        # a burst of five minutes is a fifth of what an hour would need
        "quiet when it was short": (
            [
                gateway("rankguard_requests_total", "0+100x120", route="/v1/rerank", status="200"),
                gateway(
                    "rankguard_requests_total",
                    "0x60 3+3x5 18x60",
                    route="/v1/rerank",
                    status="503",
                ),
            ],
            67,
        ),
    },
    "RankguardErrorBudgetBurn": {
        "fires": (traffic(400, good=992, failed=8), 398),
        "quiet": (traffic(400, good=995, failed=5), 398),
    },
    "RankguardErrorBudgetBurnSlow": {
        "fires": (traffic(440, good=998, failed=2), 430),
        "quiet": (traffic(440, good=9995, failed=5), 430),
    },
    "RankguardLatencyBudgetBurnFast": {
        "fires": (timed(70, in_time=20, late=80), 68),
        "quiet": (timed(70, in_time=40, late=60), 68),
    },
    "RankguardLatencyBudgetBurn": {
        "fires": (timed(400, in_time=65, late=35), 398),
        "quiet": (timed(400, in_time=75, late=25), 398),
    },
    "RankguardLatencyBudgetBurnSlow": {
        "fires": (timed(440, in_time=94, late=6), 430),
        "quiet": (timed(440, in_time=96, late=4), 430),
    },
    "RankguardGatewayDown": {
        "fires": ([gateway("up", "1 1 0 0 0 0")], 4),
        "quiet": ([gateway("up", "1 1 1 0 1 1")], 5),
    },
    "RankguardNotReady": {
        "fires": ([gateway("rankguard_ready", "1 0 0 0 0")], 4),
        "quiet": ([gateway("rankguard_ready", "1 0 1 0 1")], 4),
    },
    "RankguardReplicaEjected": {
        "fires": ([gateway("rankguard_ejections_total", "0+1x15")], 12),
        "quiet": ([gateway("rankguard_ejections_total", "0 1 2 2 2 2 2 2 2 2 2 2 2 2")], 12),
    },
    "RankguardQueueSaturated": {
        "fires": ([gateway("rankguard_waiting_tokens", "3300000x6")], 5),
        "quiet": ([gateway("rankguard_waiting_tokens", "3100000x6")], 5),
    },
    "RankguardRequestsRefused": {
        "fires": (
            [
                gateway("rankguard_requests_total", "0+95x20", route="/v1/rerank", status="200"),
                gateway("rankguard_requests_total", "0+5x20", route="/v1/rerank", status="429"),
            ],
            15,
        ),
        "quiet": (
            [
                gateway("rankguard_requests_total", "0+995x20", route="/v1/rerank", status="200"),
                gateway("rankguard_requests_total", "0+5x20", route="/v1/rerank", status="429"),
            ],
            15,
        ),
    },
    "RankguardTruncationSurge": {
        "fires": (
            [
                gateway("rankguard_documents_total", f"0+100x{DAY + 60}"),
                gateway("rankguard_truncated_documents_total", burst(DAY, 30, 60)),
            ],
            DAY + 40,
        ),
        "quiet": (  # as many, but the same every day: it is how these documents are
            [
                gateway("rankguard_documents_total", f"0+100x{DAY + 60}"),
                gateway("rankguard_truncated_documents_total", f"0+30x{DAY + 60}"),
            ],
            DAY + 40,
        ),
    },
    "RankguardUnscoredDocuments": {
        "fires": ([gateway("rankguard_unscored_documents_total", "0 0 0 2 2 2 2 2")], 6),
        "quiet": ([gateway("rankguard_unscored_documents_total", "0x10")], 6),
    },
    "RankguardWatchdogDown": {
        "fires": ([watchdog("up", "1 0 0 0 0")], 4),
        "quiet": ([watchdog("up", "1 1 0 1 1")], 4),
    },
    "RankguardWatchdogStale": {
        "fires": ([watchdog("rankguard_watchdog_heartbeat_timestamp_seconds", "0 60x8")], 5),
        "quiet": ([watchdog("rankguard_watchdog_heartbeat_timestamp_seconds", "0+60x8")], 5),
    },
    "RankguardWatchdogErrors": {
        "fires": ([watchdog("rankguard_watchdog_journal_errors_total", "0 1+1x15")], 12),
        "quiet": ([watchdog("rankguard_watchdog_journal_errors_total", "3x15")], 12),
    },
    "RankguardDeadMansSwitch": {"fires": ([], 1), "quiet": None},  # it never stops: that is its use
    "RankguardReplicaDown": {
        "fires": (
            [watchdog("rankguard_replica_health", "0 1x6", replica="replica-0", health="hung")],
            5,
        ),
        "quiet": (
            [
                watchdog(
                    "rankguard_replica_health", "0 1 0 1 0 1", replica="replica-0", health="dead"
                )
            ],
            5,
        ),
    },
    "RankguardReplicasMissing": {
        "fires": (
            [
                watchdog("rankguard_replica_routable", "1x10", replica="replica-0"),
                watchdog("rankguard_replica_routable", "1 0x9", replica="replica-1"),
            ],
            8,
        ),
        "fires when there is none at all": ([watchdog("up", "1x10")], 8),
        "quiet when nobody answers": ([watchdog("up", "0x10")], 8),  # that is another alert
        "quiet": (
            [
                watchdog("rankguard_replica_routable", "1x10", replica="replica-0"),
                watchdog("rankguard_replica_routable", "1x10", replica="replica-1"),
            ],
            8,
        ),
    },
    "RankguardReplicaCrashLoop": {
        "fires": (
            [
                watchdog(
                    "rankguard_replica_restarts_total",
                    "0+1x12",
                    replica="replica-0",
                    cause="exited",
                )
            ],
            11,
        ),
        "quiet": (
            [
                watchdog(
                    "rankguard_replica_restarts_total",
                    "0 1 1 1 2 2 2 3 3 3 3 3",
                    replica="replica-0",
                    cause="exited",
                )
            ],
            11,
        ),
    },
    "RankguardCanaryWrong": {
        "fires": (
            [
                watchdog(
                    "rankguard_canary_runs_total", "0 1 2 3x5", replica="replica-0", outcome="wrong"
                )
            ],
            4,
        ),
        "quiet": (
            [
                watchdog(
                    "rankguard_canary_runs_total", "0+4x8", replica="replica-0", outcome="passed"
                ),
                watchdog(
                    "rankguard_canary_runs_total", "0x8", replica="replica-0", outcome="wrong"
                ),
            ],
            6,
        ),
    },
    "RankguardCanaryMissing": {
        "fires": (
            [
                watchdog(
                    "rankguard_canary_runs_total", "7x12", replica="replica-0", outcome="passed"
                ),
                watchdog("rankguard_replica_routable", "1x12", replica="replica-0"),
            ],
            10,
        ),
        "fires when nobody counts": (
            [watchdog("rankguard_replica_routable", "1x12", replica="replica-0")],
            10,
        ),
        "quiet": (
            [
                watchdog(
                    "rankguard_canary_runs_total", "7+4x12", replica="replica-0", outcome="passed"
                ),
                watchdog("rankguard_replica_routable", "1x12", replica="replica-0"),
            ],
            10,
        ),
    },
    "RankguardGpuDriverDown": {
        "fires": ([watchdog("rankguard_gpu_driver_up", "1 0x5")], 4),
        "quiet": ([watchdog("rankguard_gpu_driver_up", "1 0 1 0 1")], 4),
    },
    "RankguardGpuDown": {
        "fires": ([card("rankguard_gpu_up", "1 0x5")], 4),
        "quiet": ([card("rankguard_gpu_up", "1 0 1 0 1")], 4),
    },
    "RankguardGpuMissing": {
        "fires": (
            [card("rankguard_gpu_up", "1x60"), card("rankguard_gpu_up", "1x20 stale", number=1)],
            55,
        ),
        "fires when the only card is gone": (
            [watchdog("rankguard_gpu_driver_up", "1x60"), card("rankguard_gpu_up", "1x20 stale")],
            55,
        ),
        "quiet on a host that never had one": ([watchdog("rankguard_gpu_driver_up", "1x60")], 55),
        "quiet": (
            [card("rankguard_gpu_up", "1x60"), card("rankguard_gpu_up", "0x60", number=1)],
            55,
        ),
    },
    "RankguardGpuDataStale": {
        "fires": ([watchdog("rankguard_gpu_read_duration_seconds", "0.1 9x5")], 4),
        "quiet": (
            [
                watchdog("rankguard_gpu_read_duration_seconds", "1.5x8"),
                watchdog("rankguard_gpu_readers_abandoned_total", "2x8"),
            ],
            6,
        ),
    },
    "RankguardXidReset": {
        "fires": ([card("rankguard_gpu_xid_last_timestamp_seconds", "60x8", xid="79")], 8),
        "quiet": (
            [
                card("rankguard_gpu_xid_last_timestamp_seconds", "60x20", xid="79"),  # long ago
                card("rankguard_gpu_xid_last_timestamp_seconds", "900x20", xid="13"),
            ],
            16,
        ),
    },
    "RankguardXidFollowUp": {
        "fires": ([card("rankguard_gpu_xid_last_timestamp_seconds", "60x8", xid="48")], 8),
        "quiet": ([card("rankguard_gpu_xid_last_timestamp_seconds", "60x8", xid="43")], 8),
    },
    "RankguardXidApplication": {
        "fires": ([card("rankguard_gpu_xids_total", "0 1 2 3 4x20", xid="31")], 10),
        "quiet": ([card("rankguard_gpu_xids_total", "0 1x20", xid="31")], 10),
    },
    "RankguardGpuEccUncorrected": {
        "fires": ([card("rankguard_gpu_ecc_uncorrected_total", "0 1x4")], 2),
        "quiet": ([card("rankguard_gpu_ecc_uncorrected_total", "0x4")], 2),
    },
    "RankguardGpuEccStorm": {
        "fires": ([card("rankguard_gpu_ecc_corrected_total", "0+500x15")], 12),
        "quiet": ([card("rankguard_gpu_ecc_corrected_total", "0+50x15")], 12),
    },
    "RankguardGpuRowRemapFailed": {
        "fires": ([card("rankguard_gpu_row_remap_failed", "0 1x4")], 2),
        "quiet": ([card("rankguard_gpu_row_remap_failed", "0x4")], 2),
    },
    "RankguardGpuRowRemapPending": {
        "fires": ([card("rankguard_gpu_retired_pages_pending", "0 1x4")], 3),
        "quiet": ([card("rankguard_gpu_row_remap_pending", "0x4")], 3),
    },
    "RankguardGpuMemoryHeldByStranger": {
        "fires": (
            [watchdog("rankguard_incidents_open", "0 1x6", name="GpuMemoryHeldByStranger")],
            5,
        ),
        "quiet": ([watchdog("rankguard_incidents_open", "1x6", name="GpuThermal")], 5),
    },
    "RankguardGpuThermal": {
        "fires": (
            [
                card("rankguard_gpu_temperature_celsius", "80 91x6"),
                card("rankguard_gpu_temperature_slowdown_celsius", "90x6"),
            ],
            5,
        ),
        "quiet": (  # a power cap is how a card is run, not a fault
            [
                card("rankguard_gpu_temperature_celsius", "89x6"),
                card("rankguard_gpu_temperature_slowdown_celsius", "90x6"),
                card("rankguard_gpu_clock_event", "1x6", reason="power_cap"),
            ],
            5,
        ),
    },
    "RankguardGpuRecoveryAction": {
        "fires": ([card("rankguard_gpu_recovery_action", "0 1x4")], 3),
        "quiet": ([card("rankguard_gpu_recovery_action", "0x4")], 3),
    },
    "RankguardGpuNvlinkDown": {
        "fires": ([card("rankguard_gpu_nvlinks_down", "0x10 2x10")], 18),
        "quiet": ([card("rankguard_gpu_nvlinks_down", "4x20")], 18),  # never connected
    },
    "RankguardGpuPcieNarrow": {
        "fires": ([card("rankguard_gpu_pcie_link_width", "16x10 8x20")], 29),
        "quiet": ([card("rankguard_gpu_pcie_link_width", "8x30")], 29),
    },
    "RankguardDiskFull": {
        "fires": ([watchdog("rankguard_host_disk_free_bytes", "500000000x4", path="/s")], 3),
        "quiet": ([watchdog("rankguard_host_disk_free_bytes", "600000000x4", path="/s")], 3),
    },
    "RankguardDiskFilling": {
        "fires": (
            [watchdog("rankguard_host_disk_free_bytes", "2600000000-4000000x100", path="/s")],
            95,
        ),
        "quiet": (  # as low, and it stays so
            [watchdog("rankguard_host_disk_free_bytes", "2200000000x100", path="/s")],
            95,
        ),
    },
    "RankguardCertificateExpiring": {
        "fires": ([watchdog(f"{CERTIFICATE}_expiry_timestamp_seconds", "1209000x70", **AT)], 61),
        "quiet": ([watchdog(f"{CERTIFICATE}_expiry_timestamp_seconds", "1300000x70", **AT)], 61),
    },
    "RankguardCertificateInvalid": {
        "fires": ([watchdog(f"{CERTIFICATE}_valid", "0x30", **AT)], 26),
        "quiet": ([watchdog(f"{CERTIFICATE}_valid", "0x10 1 0x19", **AT)], 26),
    },
    "RankguardMemoryShort": {
        "fires": (
            [
                watchdog("rankguard_host_memory_available_bytes", "1000x6"),
                watchdog("rankguard_host_memory_total_bytes", "100000x6"),
            ],
            5,
        ),
        "quiet": (
            [
                watchdog("rankguard_host_memory_available_bytes", "10000x6"),
                watchdog("rankguard_host_memory_total_bytes", "100000x6"),
            ],
            5,
        ),
    },
    "RankguardAlertDeliveryFailing": {
        "fires": (
            [watchdog("rankguard_alerts_oldest_pending_seconds", "0+60x12", receiver="oncall")],
            10,
        ),
        "quiet": (
            [watchdog("rankguard_alerts_oldest_pending_seconds", "0 30x12", receiver="oncall")],
            10,
        ),
    },
    "RankguardAlertsGivenUp": {
        "fires": ([watchdog("rankguard_alerts_given_up", "0x5 2x10", receiver="oncall")], 12),
        "quiet": ([watchdog("rankguard_alerts_given_up", "2x20", receiver="oncall")], 12),
    },
}
