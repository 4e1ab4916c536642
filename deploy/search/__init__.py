"""Two-stage search from the command line."""
