"""The dashboards, one module each, in the order in which people look at them."""
