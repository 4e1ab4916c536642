"""All checks together, for `rankguard doctor` and for a unit before it starts."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from enum import Enum

import psutil

from deploy.config import Config
from deploy.doctor import gpu, host, model, secrets, webhook
from deploy.doctor.finding import Finding
from deploy.stop import is_running
from service.manifest import read_manifests
from service.worker.select import resolve_kind


class Part(str, Enum):
    """What is about to start: it needs its own port and not the others'."""

    HOST = "host"
    GATEWAY = "gateway"
    WATCHDOG = "watchdog"


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the operator asked for beside the usual."""

    part: Part = Part.HOST
    expect_gpus: int | None = None
    checksums: bool = False
    webhooks: bool = False


def examine(config: Config, wishes: Wishes) -> list[Finding]:
    """Run the checks; each has its own limit, and none changes anything."""
    if wishes.part is Part.GATEWAY:
        return [
            host.check_state_dir(config.service.state_dir),
            _gateway_port(config, ours=False),
            *secrets.check_keys(config.service.api_keys_file),
            host.check_files(),
        ]
    if wishes.part is Part.WATCHDOG:
        # not the model: a watchdog that does not start cannot tell anybody that it is missing
        return [
            host.check_state_dir(config.service.state_dir),
            _watchdog_port(config, ours=False),
        ]
    return _everything(config, wishes)


def _everything(config: Config, wishes: Wishes) -> list[Finding]:
    kind, _ = resolve_kind(config.engine)
    driver = gpu.read_driver()
    findings = [
        host.check_state_dir(config.service.state_dir),
        _gateway_port(config, ours=True),
        _watchdog_port(config, ours=True),
        *model.check_engine(config, checksums=wishes.checksums),
        *gpu.check_gpus(config, driver, expected=wishes.expect_gpus, ours=_our_processes(config)),
        host.check_disk("disk", config.service.state_dir),
        host.check_memory(),
        host.check_files(),
        host.check_clock(host.read_clock()),
        *secrets.check_secrets(config),
    ]
    if kind == "vllm":
        findings += [
            host.check_shared_memory(),
            *model.check_cuda(driver, model.torch_cuda_version()),
        ]
    if isinstance(driver, gpu.Driver):
        findings.append(host.check_kernel_log())
    if wishes.webhooks:
        findings += webhook.check_webhooks(config.alerts)
    return findings


def _gateway_port(config: Config, *, ours: bool) -> Finding:
    service = config.service
    return host.check_port("gateway port", service.host, service.port, "service", ours=ours)


def _watchdog_port(config: Config, *, ours: bool) -> Finding:
    monitor = config.monitor
    return host.check_port("watchdog port", monitor.host, monitor.port, "monitor", ours=ours)


def _our_processes(config: Config) -> frozenset[int]:
    """Pids of our running replicas and of their children: an engine holds memory in a child."""
    found: set[int] = set()
    for manifest in read_manifests(config.service.state_dir):
        if not is_running(manifest):
            continue
        found.add(manifest.pid)
        with contextlib.suppress(psutil.Error):
            found |= {child.pid for child in psutil.Process(manifest.pid).children(recursive=True)}
    return frozenset(found)
