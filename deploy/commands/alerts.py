"""`rankguard alerts`: what was sent, and silences."""

from __future__ import annotations

import typer

NAME = "alerts"
app = typer.Typer(help="Test, list, silence and acknowledge alerts.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """Test, list, silence and acknowledge alerts."""
