"""Five questions and the passages that answer them, in ten languages; written for these tests."""

import json
from pathlib import Path

_PAIRS = json.loads(Path(__file__).with_suffix(".json").read_text("utf-8"))

QUESTIONS = {lang: [pair["question"] for pair in pairs] for lang, pairs in _PAIRS.items()}
PASSAGES = {lang: [pair["passage"] for pair in pairs] for lang, pairs in _PAIRS.items()}
