from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]


def _said(name: str) -> tuple[list[str], set[str], set[str]]:
    """What no translation changes: typed lines, commands in tables, documents that are linked."""
    text = (ROOT / name).read_text(encoding="utf-8")
    typed = [line.split("  #")[0].rstrip() for line in text.splitlines() if line.startswith("$ ")]
    commands = set(re.findall(r"`((?:rankguard|make|docker) [^`]+)`", text))
    linked = set(re.findall(r"\]\((docs/[\w#-]+\.md[^)]*)\)", text))
    return typed, commands, linked


def test_the_chinese_readme_tells_to_type_and_to_read_the_same():
    assert _said("README.zh-CN.md") == _said("README.md")
