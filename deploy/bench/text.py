"""Real text of a stated length that no cache has seen: sentences of the declaration, mixed anew.

Every request is made from its own number and the seed, so that a run can be repeated.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from deploy.evaluate import shipped
from deploy.evaluate.builders.udhr import first_sentence, questions
from deploy.evaluate.dataset import Dataset

CHARS_PER_TOKEN = 4.3
"""English, multilingual vocabularies; used where the endpoint reports no token counts."""


@dataclass(frozen=True, slots=True)
class Request:
    """One query with its documents.

    Attributes:
        right: index of the document that answers the query; None when none does on purpose.
    """

    query: str
    documents: tuple[str, ...]
    right: int | None = None


class Library:
    """Makes requests; the same seed and number give the same request."""

    def __init__(self, *, seed: int, language: str = "en") -> None:
        self._seed = seed
        self._data = shipped.load()
        self._sentences = _sentences(self._data, language)
        self._questions = questions()

    def request(self, number: int, *, documents: int, chars: int) -> Request:
        """A unique query and unique documents of about `chars` characters each."""
        source = random.Random(f"{self._seed}:{number}")
        asked = source.choice(self._questions["en"])
        return Request(
            query=f"{asked} ({source.getrandbits(40):010x})",
            documents=tuple(self._document(source, chars) for _ in range(documents)),
        )

    def check(self, number: int) -> Request:
        """A request whose best document is known: a question, its article and three others.

        Question and articles are in languages that differ from one check to the next; a line
        of its own makes each document new to a cache.
        """
        source = random.Random(f"check:{self._seed}:{number}")
        asked_in = source.choice(sorted(self._questions))
        article = source.randrange(1, 31)
        others = source.sample([n for n in range(1, 31) if abs(n - article) > 2], 3)
        numbers = [article, *others]
        source.shuffle(numbers)
        lang = source.choice(("en", "de", "es", "fr", "zh-Hans", "ru", "ja"))
        return Request(
            query=self._questions[asked_in][article - 1],
            documents=tuple(
                f"{self._data.documents[f'{lang}-{n:02}'].text} [{source.getrandbits(24):x}]"
                for n in numbers
            ),
            right=numbers.index(article),
        )

    def _document(self, source: random.Random, chars: int) -> str:
        parts = [f"{source.getrandbits(40):010x}:"]
        length = len(parts[0])
        while length < chars:
            sentence = source.choice(self._sentences)
            parts.append(sentence)
            length += len(sentence) + 1
        text = " ".join(parts)
        cut = text.rfind(" ", 0, chars + 1)
        return text[: cut if cut > chars // 2 else chars]


def _sentences(data: Dataset, language: str) -> Sequence[str]:
    found = []
    for document in data.documents.values():
        rest = document.text if document.lang == language else ""
        while rest:
            sentence = first_sentence(rest)
            found.append(sentence)
            rest = rest[len(sentence) :].strip()
    return found


def chars_per_token(short: tuple[int, int], long: tuple[int, int]) -> float | None:
    """Characters in a token, from two sizes of documents: (characters, tokens) each.

    Two sizes, because the endpoint counts prompt and query as well, which a difference removes.
    None when the counts do not grow as they should.
    """
    characters, tokens = long[0] - short[0], long[1] - short[1]
    if characters <= 0 or tokens <= 0 or not 0.5 <= characters / tokens <= 20:
        return None
    return characters / tokens
