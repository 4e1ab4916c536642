"""Grafana: the committed dashboards and the files by which Grafana finds them."""

from __future__ import annotations

from importlib import resources

from deploy.config import Config
from deploy.render.artefact import Artefact
from deploy.render.host import Site
from deploy.render.prometheus import SCRAPE_S
from deploy.render.template import fill
from grafana.panel import RUNBOOKS

PROMETHEUS_URL = "http://127.0.0.1:9090"
FOLDER = "/var/lib/grafana/dashboards/rankguard"


def grafana(config: Config, _site: Site) -> list[Artefact]:
    """Dashboards, their provider and the data source, laid out as Grafana wants them."""
    return files(config, PROMETHEUS_URL)


def files(config: Config, prometheus: str) -> list[Artefact]:
    """The same with Prometheus at another URL."""
    runbooks = config.alerts.runbook_url.rstrip("/") or RUNBOOKS
    source = fill("grafana/datasource.yml", prometheus=prometheus, scrape_s=SCRAPE_S)
    provider = fill("grafana/dashboards.yml", folder=FOLDER)
    return [
        Artefact("provisioning/datasources/rankguard.yml", source),
        Artefact("provisioning/dashboards/rankguard.yml", provider),
        *(
            Artefact(f"dashboards/{name}", text.replace(RUNBOOKS, runbooks))
            for name, text in committed()
        ),
    ]


def committed() -> list[tuple[str, str]]:
    """Name and text of every committed dashboard, in the order of their names."""
    folder = resources.files("grafana") / "json"
    found = [item for item in folder.iterdir() if item.name.endswith(".json")]
    return [(item.name, item.read_text("utf-8")) for item in sorted(found, key=lambda i: i.name)]
