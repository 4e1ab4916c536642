"""Our stack beside bare vLLM, both on one model and started here: what `make bench` runs."""
