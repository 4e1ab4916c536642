"""Container image: Dockerfile, lock files and what runs first inside."""
