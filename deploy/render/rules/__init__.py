"""Prometheus rules as tables, with thresholds from the settings that the watchdog itself uses."""
