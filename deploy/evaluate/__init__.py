"""Quality: how well an endpoint ranks, per language pair."""
