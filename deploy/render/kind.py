"""The table of what can be rendered."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum

from deploy.config import Config
from deploy.render import alertmanager, compose, dashboards, prometheus, proxy, ray, systemd
from deploy.render.artefact import Artefact
from deploy.render.host import Site

Renderer = Callable[[Config, Site], list[Artefact]]


class Kind(str, Enum):
    """A set of files for one tool."""

    SYSTEMD = "systemd"
    PROMETHEUS = "prometheus"
    ALERTMANAGER = "alertmanager"
    GRAFANA = "grafana"
    COMPOSE = "compose"
    HAPROXY = "haproxy"
    NGINX = "nginx"
    RAY = "ray"


RENDERERS: Mapping[Kind, Renderer] = {
    Kind.SYSTEMD: systemd.units,
    Kind.PROMETHEUS: prometheus.prometheus,
    Kind.ALERTMANAGER: alertmanager.alertmanager,
    Kind.GRAFANA: dashboards.grafana,
    Kind.COMPOSE: compose.compose,
    Kind.HAPROXY: proxy.haproxy,
    Kind.NGINX: proxy.nginx,
    Kind.RAY: ray.ray,
}


def render(kind: Kind, config: Config, site: Site) -> list[Artefact]:
    """The files of one kind; same configuration and site, same text."""
    return RENDERERS[kind](config, site)
