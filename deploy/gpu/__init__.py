"""What a real card must prove, in two runs: `python -m deploy.gpu test` and `… bench`."""
