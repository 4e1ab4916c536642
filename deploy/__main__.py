"""The command `rankguard`, also as `python -m deploy`."""

import sys

EXIT_INTERRUPTED = 130


def main() -> None:
    """Run the command line; Ctrl-C is no error, not even while the modules are being loaded."""
    try:
        from deploy.cli import main as run  # noqa: PLC0415

        run()
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)


if __name__ == "__main__":
    main()
