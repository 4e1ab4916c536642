"""Every dashboard."""

from __future__ import annotations

from grafana.dashboards.delivery import DELIVERY
from grafana.dashboards.fleet import FLEET
from grafana.dashboards.gpu import CARDS
from grafana.dashboards.quality import QUALITY
from grafana.dashboards.service import SERVICE

DASHBOARDS = (FLEET, SERVICE, CARDS, QUALITY, DELIVERY)
