"""A compose file for one host, with everything that it mounts."""

from __future__ import annotations

from pathlib import Path

from deploy.config import Config, show
from deploy.doctor.secrets import secret_files
from deploy.render import dashboards
from deploy.render.alertmanager import alertmanager
from deploy.render.artefact import Artefact
from deploy.render.host import Site, Target
from deploy.render.prometheus import RULES_FILE, rules_file, scrape_file
from deploy.render.template import fill
from service.gateway.auth import is_loopback

VLLM_IMAGE = "rankguard:vllm"
EMBEDDED_IMAGE = "rankguard:embedded"
_STOP_MARGIN_S = 25
_CONTAINER_PORTS = {"gateway": 8000, "watchdog": 9400, "page": 7860}


def compose(config: Config, site: Site) -> list[Artefact]:
    """compose.yaml, the effective configuration, and what Prometheus and the others read."""
    inside = _inside(config)
    here = Target(site.this_host, "rankguard")
    scrape = scrape_file(inside, site, alertmanager="alertmanager:9093", hosts=(here,))
    vllm = config.engine.kind == "vllm"
    service = config.service
    bind = "127.0.0.1" if is_loopback(service.host) else service.host
    text = fill(
        "compose/compose.yaml",
        image=VLLM_IMAGE if vllm else EMBEDDED_IMAGE,
        gpus=vllm and config.monitor.gpus == "nvml",
        publish_gateway=f"{bind}:{service.port}:{_CONTAINER_PORTS['gateway']}",
        # of this host only: it sends passwords as they are, and TLS is the proxy's
        publish_page=config.ui.enabled is not False
        and f"127.0.0.1:{config.ui.port}:{_CONTAINER_PORTS['page']}",
        mounts=_mounts(config),
        receiver_secrets=_receiver_secrets(config),
        stop_s=round(service.drain_timeout_s + config.monitor.drain_timeout_s) + _STOP_MARGIN_S,
    )
    return [
        Artefact("compose.yaml", text),
        Artefact("rankguard.toml", show(inside), 0o640),
        Artefact("prometheus/prometheus.yml", scrape),
        Artefact(f"prometheus/{RULES_FILE}", rules_file(config)),
        *(_below("alertmanager", item) for item in alertmanager(config, site)),
        *(_below("grafana", item) for item in dashboards.files(config, "http://prometheus:9090")),
    ]


def _inside(config: Config) -> Config:
    """The configuration as the container sees it; the container's start sets its addresses."""
    service = {"port": _CONTAINER_PORTS["gateway"], "state_dir": Path("/workspace/state")}
    monitor = {"port": _CONTAINER_PORTS["watchdog"], "actuator": "process"}
    return config.model_copy(
        update={
            "service": config.service.model_copy(update=service),
            "monitor": config.monitor.model_copy(update=monitor),
            "ui": config.ui.model_copy(update={"port": _CONTAINER_PORTS["page"]}),
        }
    )


def _mounts(config: Config) -> list[str]:
    """Secrets and a local model, at the same paths inside."""
    paths = [Path(path) for path in _receiver_secrets(config)]
    if config.service.api_keys_file is not None:
        paths.append(config.service.api_keys_file)
    model = Path(config.engine.model).expanduser()
    if model.is_absolute():
        paths.append(model)
    return sorted({str(path) for path in paths})


def _receiver_secrets(config: Config) -> list[str]:
    return sorted({str(path) for _, path in secret_files(config.alerts)})


def _below(folder: str, item: Artefact) -> Artefact:
    return Artefact(f"{folder}/{item.path}", item.text, item.mode)
