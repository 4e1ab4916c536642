"""HAProxy and nginx in front of several independent hosts."""

from __future__ import annotations

from deploy.config import Config
from deploy.render.artefact import Artefact
from deploy.render.host import Site, targets
from deploy.render.template import fill

LISTEN_PORT = 8080
_MARGIN_S = 5
_LARGEST_BUFFER = 2**18  # bytes, two per connection: a bigger request is not tried twice


def haproxy(config: Config, site: Site) -> list[Artefact]:
    """Active readiness checks every second, retries on another host."""
    values = _values(config, site)
    listen = f":{LISTEN_PORT}"
    return [Artefact("haproxy.cfg", fill("haproxy/haproxy.cfg", **values, listen=listen))]


def nginx(config: Config, site: Site) -> list[Artefact]:
    """Passive checks: a host that answers 503 is passed over."""
    text = fill("nginx/rankguard.conf", **_values(config, site), listen=LISTEN_PORT)
    return [Artefact("rankguard.conf", text)]


def _values(config: Config, site: Site) -> dict[str, object]:
    server_s = round(config.service.request_timeout_s) + _MARGIN_S
    return {
        "targets": targets(site),
        "port": config.service.port,
        "server_s": server_s,
        "client_s": server_s + _MARGIN_S,
        "body_s": round(config.service.body_timeout_s),
        "max_body_bytes": config.service.max_body_bytes,
        "buffer_bytes": min(config.service.max_body_bytes + 2**14, _LARGEST_BUFFER),
        "maxconn": 256,
    }
