"""Grafana dashboards as code, and the catalogue of all metrics."""
