"""A new version beside the old one, proved on it, and then in its place, or not."""
