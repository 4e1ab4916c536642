"""Deployment files, rendered from the one configuration; only `artefact.write` writes."""
