"""Every alert name has its runbook, and every runbook its alert."""

from __future__ import annotations

from pathlib import Path

import pytest

from alerts.names import ALERT_NAMES

RUNBOOKS = Path(__file__).parents[2] / "deploy" / "runbooks"
PARTS = ["## Check", "## Likely causes", "## Fix", "## Escalate"]


def test_names_and_files_are_the_same():
    assert {path.stem for path in RUNBOOKS.glob("*.md")} == set(ALERT_NAMES)


@pytest.mark.parametrize("name", ALERT_NAMES)
def test_a_runbook_says_what_to_check_why_how_to_fix_and_when_to_ask(name):
    text = (RUNBOOKS / f"{name}.md").read_text(encoding="utf-8")

    assert text.startswith(f"# {name}\n")
    assert [line for line in text.splitlines() if line.startswith("## ")] == PARTS
    for part in PARTS:
        after = text.split(part, 1)[1].split("\n## ", 1)[0].strip()
        assert len(after) > 20, part
    for other in ALERT_NAMES:
        if f"(see {other})" in text:
            assert other != name
