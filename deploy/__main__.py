"""`python -m deploy`: the same as `rankguard`."""

from deploy.cli import main

main()
