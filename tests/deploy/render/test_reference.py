from __future__ import annotations

from pathlib import Path

from deploy.config import Config
from deploy.render.reference import reference
from deploy.render.rules.book import alert_rules

ROOT = Path(__file__).parents[3]


def test_the_document_is_what_the_tables_say():
    assert (ROOT / "docs" / "metrics.md").read_text() == reference(Config()), (
        "run: python -m deploy.render.reference > docs/metrics.md"
    )


def test_every_runbook_that_a_rule_links_is_there():
    for rule in alert_rules(Config()):
        if rule.same_as:
            assert (ROOT / "deploy" / "runbooks" / f"{rule.same_as}.md").is_file(), rule.name
