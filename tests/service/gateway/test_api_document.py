"""docs/api.md names codes, settings and tests: each has to exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from service.errors import CODE, STATUS
from service.settings import ServiceSettings

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")


def section(name: str) -> str:
    return TEXT.split(f"\n## {name}\n")[1].split("\n## ")[0]


@pytest.mark.parametrize("error", CODE, ids=lambda error: error.__name__)
def test_every_error_is_there_with_its_status(error):
    rows = [row for row in section("Errors").splitlines() if f"`{CODE[error]}`" in row]
    assert len(rows) == 1
    assert str(int(STATUS[error])) in rows[0]


def test_every_limit_is_a_setting_with_the_default_that_is_told():
    for row in section("Limits").splitlines():
        found = re.match(r"\| `(\w+)` \| ([\d,]+)( MiB)?", row)
        if found:
            name, number, mebibytes = found.groups()
            default = getattr(ServiceSettings(), name)
            assert default == int(number.replace(",", "")) * (2**20 if mebibytes else 1), name


def test_every_test_that_is_named_exists():
    clients = (ROOT / "tests" / "clients" / "test_clients.py").read_text(encoding="utf-8")
    for name in re.findall(r"`(test_\w+)`", TEXT):
        assert f"def {name}(" in clients, name
    for name in re.findall(r"(test_\w+\.py)", TEXT):
        assert list(ROOT.glob(f"tests/**/{name}")), name
