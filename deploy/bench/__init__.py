"""Capacity: how much an endpoint carries, and how fast. Talks only to the URL that is given."""
