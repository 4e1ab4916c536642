"""Where things lie on a host, and which hosts there are: what the configuration does not say."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath

from deploy.config import Config
from service.gateway.auth import is_loopback

PREFIX = PurePosixPath("/opt/rankguard")
CONFIG_FILE = PurePosixPath("/etc/rankguard/rankguard.toml")
STATE_HOME = PurePosixPath("/var/lib/rankguard")


@dataclass(frozen=True, slots=True)
class Site:
    """What the operator says beside the configuration.

    Attributes:
        prefix: the virtual environment that holds `bin/rankguard`.
        config_file: where `rankguard.toml` lies on the host.
        user: the system user that runs everything.
        hosts: names or addresses of all hosts, for Prometheus and the load balancers.
        this_host: the name that this host's metrics and alerts carry when `hosts` is empty.
    """

    prefix: PurePosixPath = PREFIX
    config_file: PurePosixPath = CONFIG_FILE
    user: str = "rankguard"
    hosts: tuple[str, ...] = ()
    this_host: str = "localhost"

    @property
    def command(self) -> PurePosixPath:
        return self.prefix / "bin" / "rankguard"


@dataclass(frozen=True, slots=True)
class Target:
    """One host as others reach it: `name` is its label, `address` goes before the port."""

    name: str
    address: str

    def at(self, port: int) -> str:
        """`address:port`, with brackets around an IPv6 address."""
        return f"[{self.address}]:{port}" if ":" in self.address else f"{self.address}:{port}"


def targets(site: Site) -> tuple[Target, ...]:
    """Every host; only this one, over loopback, when none is named."""
    if not site.hosts:
        return (Target(site.this_host, "127.0.0.1"),)
    return tuple(Target(name, name) for name in site.hosts)


def unreachable(config: Config, site: Site) -> list[str]:
    """Which sections bind to loopback although other hosts are to reach them, a sentence each."""
    if not site.hosts:
        return []
    bound = {"service": config.service.host, "monitor": config.monitor.host}
    return [
        f"[{section}] host is {host}: other hosts cannot reach it; set the host's own address"
        for section, host in bound.items()
        if is_loopback(host)
    ]


def state_dir(config: Config) -> PurePosixPath:
    """The state directory on the host: what the file says, else the one that systemd makes."""
    if "state_dir" in config.service.model_fields_set:
        return PurePosixPath(config.service.state_dir)
    return STATE_HOME
