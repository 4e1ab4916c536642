"""One directory with everything for a host without network."""
