"""What each vendor gets for each kind of message, in both languages, kept as files.

After a change that is meant, write them anew with WRITE_GOLDEN=1 and read the difference.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from alerts.phrases import CHINESE, ENGLISH, phrases_of
from alerts.senders.email import compose
from alerts.words import Author, Links
from alerts.zone import zone_of
from tests.alerts.examples import EXAMPLES
from tests.alerts.make import Clock
from tests.alerts.receivers import KINDS, sender_of
from tests.alerts.vendor import playing

GOLDEN = Path(__file__).parent / "golden"


def compare(name: str, text: str) -> None:
    path = GOLDEN / name
    if os.environ.get("WRITE_GOLDEN") == "1":
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert path.read_text(encoding="utf-8") == text


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("kind", sorted(KINDS))
def test_the_body_is_the_one_on_file(kind, language, tmp_path):
    shown = {}
    with playing(KINDS[kind].yes) as vendor:
        sender = sender_of(kind, vendor, tmp_path, Clock(), language=language)
        for name, message in EXAMPLES.items():
            vendor.got.clear()
            outcome = sender.send(message)
            assert outcome.verdict.value == "delivered", outcome
            shown[name] = vendor.got[0].json if vendor.got else None

    compare(f"{kind}.{language}.json", json.dumps(shown, indent=1, ensure_ascii=False) + "\n")


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_letter_is_the_one_on_file(language):
    links = Links(
        "https://guard.example.com", "https://grafana.example.com/d/x", "https://docs.example.com"
    )
    author = Author(phrases_of(language, {}), links, zone_of("UTC"))
    letters = []
    for message in EXAMPLES.values():
        letter = compose(
            author.write(message), message, "rankguard@example.com", ["oncall@example.com"], 0.0
        )
        letters.append(f"Subject: {letter['Subject']}\n\n{letter.get_content()}")

    compare(f"email.{language}.txt", f"\n{'-' * 40}\n".join(letters))


def test_both_languages_have_the_same_phrases():
    assert ENGLISH.keys() == CHINESE.keys()
