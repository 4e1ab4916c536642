"""The same question written otherwise: punctuation, case, full width. PURE."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from deploy.evaluate.dataset import Topic

_QUESTION_MARKS = "?\uff1f\u061f"  # ASCII, full width, Arabic
_WIDE = {code: code + 0xFEE0 for code in range(0x21, 0x7F)} | {0x20: 0x3000}
"""ASCII to the full-width forms block (Unicode FF01 to FF5E), space to the ideographic one."""

VARIANTS: Mapping[str, Callable[[str], str]] = {
    "as written": lambda text: text,
    "no ?": lambda text: text.rstrip(_QUESTION_MARKS + " "),
    "ASCII ?": lambda text: text.rstrip(_QUESTION_MARKS + " ") + "?",
    "full-width ?": lambda text: text.rstrip(_QUESTION_MARKS + " ") + "\uff1f",
    "upper case": str.upper,
    "lower case": str.lower,
    "full-width": lambda text: text.translate(_WIDE),
    "extra spaces": lambda text: "  " + text.replace(" ", "  ") + " ",
}


def topics(originals: list[Topic]) -> list[Topic]:
    """Every topic in every variant; the pair is (variant, language pair), for the tables."""
    return [
        replace(
            topic,
            query=replace(
                topic.query, id=f"{topic.query.id}/{name}", text=write(topic.query.text), lang=name
            ),
            doc_lang=f"{topic.query.lang}>{topic.doc_lang}",
        )
        for name, write in VARIANTS.items()
        for topic in originals
    ]
