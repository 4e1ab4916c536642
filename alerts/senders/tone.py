"""One look for all vendors: colour and mark of each tone, and a story as plain text."""

from __future__ import annotations

from collections.abc import Mapping

from alerts import cut
from alerts.words import Story

COLOUR: Mapping[str, str] = {
    "critical": "#D32F2F",
    "warning": "#F57C00",
    "info": "#1976D2",
    "resolved": "#388E3C",
    "acknowledged": "#616161",
    "digest": "#616161",
}

MARK: Mapping[str, str] = {
    "critical": "🔴",
    "warning": "🟠",
    "info": "🔵",
    "resolved": "✅",
    "acknowledged": "👤",
    "digest": "🗒",
}


def headline(story: Story) -> str:
    """The headline with its mark, on one line."""
    return cut.clean(f"{MARK[story.tone]} {story.headline}").replace("\n", " ")


def as_text(story: Story) -> str:
    """The whole story without any markup."""
    lines = [f"{line.label}: {line.text}" for line in story.lines]
    links = [f"{link.label}: {link.url}" for link in story.links]
    return cut.clean("\n".join([*lines, *links]))
