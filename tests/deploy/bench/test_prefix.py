"""What `rankguard bench prefix` asks of its two sides; the sides are servers that only wait."""

from __future__ import annotations

import time

import pytest

from deploy.bench import prefix
from deploy.upgrade.asking import AskError
from tests.json_server import Asked, JsonServer, Said

LOAD = prefix.Load(documents=2, chars=60, query_chars=40, rounds=3, seconds=0.05)


class Waiting(JsonServer):
    """Takes so long for a request, and keeps what it was asked."""

    def __init__(self, takes_s: float) -> None:
        super().__init__()
        self.takes_s = takes_s
        self.asked: list[dict] = []

    def answer(self, asked: Asked) -> Said:
        self.asked.append(asked.body)
        time.sleep(self.takes_s)
        score = {"logit": 0.5, "tokens": 9, "truncated": False}
        return Said(200, {"scores": [score] * len(asked.body["documents"])})


@pytest.fixture
def sides():
    with Waiting(0.002) as on, Waiting(0.04) as off:
        yield on, off


def compare(on, off):
    return prefix.compare(on.url, off.url, LOAD, lambda _: None, settle_s=0.0)


def test_the_ratio_is_of_the_turns_of_one_round(sides):
    found = compare(*sides)

    assert len(found.ratio) == LOAD.rounds
    assert found.to_json()["ratio"]["median"] > 2
    assert found.on_docs_per_s > found.off_docs_per_s
    assert found.hit_ratio is None  # the servers tell nothing about a cache


def test_both_sides_are_sent_one_query_and_documents_that_no_cache_has_seen(sides):
    compare(*sides)

    texts = [[text for body in side.asked for text in body["documents"]] for side in sides]
    assert len({body["query"] for side in sides for body in side.asked}) == 1
    assert all(len(set(sent)) == len(sent) for sent in texts)
    assert set(texts[0]) & set(texts[1])  # the same ones, as far as each came


def test_a_side_that_does_not_answer_is_named(sides):
    on, off = sides
    off.answer = lambda _: Said(500, {})

    with pytest.raises(AskError, match="off"):
        compare(on, off)
