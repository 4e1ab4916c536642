"""systemd units from the configuration: target, gateway, watchdog, what ends the replicas, page."""

from __future__ import annotations

from pathlib import PurePosixPath

from deploy.config import Config
from deploy.render.artefact import Artefact
from deploy.render.host import STATE_HOME, Site, state_dir
from deploy.render.template import fill

_UNITS = "/etc/systemd/system"
_STOP_MARGIN_S = 15
_MISSED_TICKS = 15
_LEAST_WATCHDOG_S = 15


def units(config: Config, site: Site) -> list[Artefact]:
    """Units, user, directories, log rotation and the script that installs them."""
    values = _values(config, site)
    places = _places(config)
    artefacts = [Artefact(name, fill(f"systemd/{name}", **values)) for name, _ in places]
    services = [name for name, _ in places if name.endswith(".service") and "@" not in name]
    script = fill("systemd/install.sh", **values, files=places, services=services)
    return [*artefacts, Artefact("install.sh", script, 0o755)]


def watchdog_s(config: Config) -> int:
    """How long the watchdog's loop may be silent: many missed ticks, never a slow disk's pause."""
    return max(_LEAST_WATCHDOG_S, round(_MISSED_TICKS * config.monitor.poll_s))


def _places(config: Config) -> list[tuple[str, str]]:
    """File name here, place on the host."""
    units_of = ["rankguard.target", "rankguard-gateway.service", "rankguard-watchdog.service"]
    own_workers = config.monitor.actuator == "process"
    if own_workers:
        units_of.append("rankguard-replicas.service")
    if config.monitor.actuator == "systemd":
        units_of.append("rankguard-worker@.service")
    if _has_page(config):
        units_of.append("rankguard-ui.service")
    places = [(name, f"{_UNITS}/{name}") for name in units_of]
    places += [
        ("rankguard.sysusers.conf", "/etc/sysusers.d/rankguard.conf"),
        ("rankguard.tmpfiles.conf", "/etc/tmpfiles.d/rankguard.conf"),
        ("rankguard.logrotate", "/etc/logrotate.d/rankguard"),
    ]
    if config.monitor.actuator == "systemd":
        places.append(("50-rankguard.rules", "/etc/polkit-1/rules.d/50-rankguard.rules"))
    return places


def _values(config: Config, site: Site) -> dict[str, object]:
    state = state_dir(config)
    drain_s = round(config.monitor.drain_timeout_s)
    return {
        "command": site.command,
        "config_file": site.config_file,
        "user": site.user,
        "state_dir": state,
        # StateDirectory= makes and opens /var/lib/rankguard; any other place must be opened
        "writable": "" if state == STATE_HOME else str(state),
        "protect_home": "read-only" if _model_at_home(config) else "yes",
        "own_workers": config.monitor.actuator == "process",
        "gpus": config.monitor.gpus == "nvml",
        "notify": True,
        "watchdog_s": watchdog_s(config),
        "drain_s": drain_s,
        "stop_s": _stop_s(config),
        "keep_logs": config.monitor.keep_logs,
        "environment_dir": str(config.monitor.unit_environment_dir),
        "unit_prefix": PurePosixPath(config.monitor.unit).name.split("{id}")[0],
        "host": config.service.host,
        "port": config.service.port,
        "monitor_host": config.monitor.host,
        "monitor_port": config.monitor.port,
        "page": _has_page(config),
        "ui_host": config.ui.host,
        "ui_port": config.ui.port,
    }


def _has_page(config: Config) -> bool:
    """Only what is asked for: `auto` is about what is installed here, and units are for a host."""
    return config.ui.enabled is True


def _model_at_home(config: Config) -> bool:
    return config.engine.model.startswith(("/home/", "/root/", "~"))


def _stop_s(config: Config) -> int:
    longest = max(config.service.drain_timeout_s, config.monitor.drain_timeout_s)
    return round(longest) + _STOP_MARGIN_S
