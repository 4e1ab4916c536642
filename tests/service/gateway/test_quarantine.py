"""Whose fault it is that engines end: rows of what was in flight where, and who is refused."""

from __future__ import annotations

import pytest

from service.embedding import EmbedJob, InputType
from service.gateway.quarantine import Quarantine, QuarantineLimits, Standing, marks_of
from service.request import ScoreJob

LIMITS = QuarantineLimits(suspect_s=600.0, refuse_s=300.0, settle_s=2.0)
BAD, GOOD, OTHER, THIRD = (marks_of(ScoreJob("1", "q", (text,), 1.0)) for text in "bgot")


class Story:
    """Processes end with chunks in flight, each time long after the last; each end is told."""

    def __init__(self, limits: QuarantineLimits = LIMITS) -> None:
        self.quarantine = Quarantine(limits)
        self.now = 0.0
        self.ends = 0

    def end(self, *chunks, alone=False, idle_left_after_s=None) -> Story:
        """`alone`: the one chunk had it for itself. Another one, which was idle, may leave too."""
        self.ends += 1
        for chunk in chunks:
            self.quarantine.lost(f"p{self.ends}", chunk, self.now, alone=alone)
        departed = {f"p{self.ends}": self.now + 0.2}
        if idle_left_after_s is not None:
            departed[f"idle-{self.ends}"] = self.now + idle_left_after_s
        self.now += 5.0
        self.quarantine.settle(set(), set(), self.now, departed)
        return self

    def end_together(self, *processes) -> Story:
        """One list of chunks for each; one that is empty was idle."""
        departed = {}
        for number, chunks in enumerate(processes):
            key = f"p{self.ends}-{number}"
            departed[key] = self.now + 0.3
            for chunk in chunks:
                self.quarantine.lost(key, chunk, self.now)
        self.ends += 1
        self.now += 5.0
        self.quarantine.settle(set(), set(), self.now, departed)
        return self

    def scored(self, *chunks) -> Story:
        for chunk in chunks:
            self.quarantine.scored(chunk)
        return self

    def standing(self, *chunks) -> list[str]:
        return [self.quarantine.standing(chunk).value for chunk in chunks]


def poisoned(limits: QuarantineLimits = LIMITS) -> Story:
    return Story(limits).end(BAD).end(BAD).end(BAD, alone=True)


@pytest.mark.parametrize(
    ("story", "bad", "good"),
    [
        pytest.param(Story(), "free", "free", id="nothing ended"),
        pytest.param(Story().end(BAD), "suspect", "free", id="one end says nothing"),
        pytest.param(Story().end(BAD).end(BAD), "alone", "free", id="two ask for a third"),
        pytest.param(poisoned(), "poison", "free", id="which tells, when nothing else was there"),
        pytest.param(
            Story().end(BAD).end(BAD).end(BAD, GOOD), "alone", "suspect", id="something else was"
        ),
        pytest.param(
            Story().end(BAD, alone=True).end(BAD, alone=True),
            "alone",
            "free",
            id="two ends of replicas that happened to have nothing else",
        ),
        pytest.param(
            Story().end(BAD, GOOD).end(BAD, GOOD), "alone", "alone", id="two were at both ends"
        ),
        pytest.param(
            Story().end(BAD, GOOD).end(BAD, GOOD).end(BAD, alone=True),
            "poison",
            "alone",
            id="the one that travelled alone at the third",
        ),
        pytest.param(
            Story().end(BAD, GOOD).end(BAD, GOOD).scored(GOOD).end(BAD, alone=True),
            "poison",
            "free",
            id="the other one was scored",
        ),
        pytest.param(
            Story().end(BAD).end(BAD).scored(BAD).end(BAD, alone=True),
            "suspect",
            "free",
            id="it was scored, late",
        ),
        pytest.param(Story().end(BAD).scored(BAD).end(BAD), "suspect", "free", id="it was scored"),
        pytest.param(Story().end(BAD).end(OTHER), "suspect", "free", id="another one's end"),
        pytest.param(Story().end(BAD).end(BAD, BAD), "alone", "free", id="a chunk and its hedge"),
    ],
)
def test_who_is_refused_follows_from_who_was_there(story, bad, good):
    assert story.standing(BAD, GOOD) == [bad, good]


def test_a_chunk_is_refused_for_the_texts_that_were_at_all_three_ends():
    first = marks_of(ScoreJob("1", "q", ("good", "bad"), 1.0))
    again = marks_of(ScoreJob("2", "q", ("bad", "new"), 1.0))
    story = Story().end(first).end(again).end(again, alone=True)
    later = marks_of(ScoreJob("3", "q", ("new", "fine", "bad"), 1.0))

    assert story.quarantine.standing(later) is Standing.POISON
    assert story.quarantine.refused(later) == [2]


def test_a_chunk_that_others_only_met_once_is_not_blamed_for_a_known_poison():
    story = poisoned().end(BAD, GOOD)

    assert story.standing(BAD, GOOD) == ["poison", "suspect"]


def test_a_text_that_ends_engines_ends_three_at_most():
    """As the gateway sends it: not while it is unsettled, and alone when it is to be."""
    quarantine = Quarantine(LIMITS)
    now, ends = 0.0, 0
    while (standing := quarantine.standing(BAD)) is not Standing.POISON:
        if standing is not Standing.UNSETTLED:
            quarantine.lost(f"p{ends}", BAD, now, alone=standing is Standing.ALONE)
            ends += 1
        now += 0.05
        departed = {f"p{number}": now for number in range(ends)}
        quarantine.settle(set(), set(), now, departed)

    assert ends == 3


@pytest.mark.parametrize(
    ("seconds", "standing"),
    [pytest.param(299, "poison", id="for a while"), pytest.param(306, "free", id="not for ever")],
)
def test_a_refusal_ends(seconds, standing):
    story = poisoned()
    story.quarantine.settle(set(), set(), story.now - 5.0 + seconds)

    assert story.standing(BAD) == [standing]


@pytest.mark.parametrize(
    ("routable", "reachable", "after_s", "standing"),
    [
        pytest.param({"p2"}, {"p2"}, 1.0, "unsettled", id="not known yet"),
        pytest.param({"p2"}, set(), 1.0, "unsettled", id="refuses connections, for a moment"),
        pytest.param({"p2"}, set(), 2.5, "alone", id="refuses them still: it ended"),
        pytest.param({"p2"}, {"p2"}, 2.5, "suspect", id="it answers: only the connection broke"),
        pytest.param(set(), set(), 0.5, "unsettled", id="others may be ending with it"),
        pytest.param(set(), set(), 1.0, "alone", id="another generation took its place"),
    ],
)
def test_a_broken_connection_is_no_end_until_the_process_is_gone(
    routable, reachable, after_s, standing
):
    story = Story().end(BAD)
    story.quarantine.lost("p2", BAD, story.now)
    story.quarantine.settle(routable, reachable, story.now + after_s)

    assert story.standing(BAD) == [standing]


@pytest.mark.parametrize(
    ("apart_s", "first", "second", "bad", "good"),
    [
        pytest.param(0.1, BAD, GOOD, "free", "free", id="together, each with its own"),
        pytest.param(0.1, BAD, BAD, "alone", "free", id="together, with the same"),
        pytest.param(1.5, BAD, GOOD, "suspect", "suspect", id="one after the other"),
        pytest.param(1.5, BAD, BAD, "alone", "free", id="one after the other, with the same"),
    ],
)
def test_processes_that_end_together_have_a_cause_in_common(apart_s, first, second, bad, good):
    story = Story()
    story.quarantine.lost("p1", first, 0.0)
    story.quarantine.lost("p2", second, apart_s)
    for now in (apart_s + 0.1, 1.05, apart_s + 1.05):
        story.quarantine.settle(set(), set(), now)

    assert story.standing(BAD, GOOD) == [bad, good]


@pytest.mark.parametrize(
    "processes",
    [
        pytest.param([(BAD, OTHER), (GOOD, THIRD)], id="each with its own work"),
        pytest.param([(BAD, GOOD, OTHER, THIRD), ()], id="one of them idle"),
    ],
)
def test_a_host_whose_replicas_are_killed_again_and_again_suspects_nobody(processes):
    story = Story()
    for _ in range(5):
        story.end_together(*processes)

    assert story.standing(BAD, GOOD, OTHER, THIRD) == ["free"] * 4


@pytest.mark.parametrize(
    ("idle_left_after_s", "standing"),
    [
        pytest.param(None, "poison", id="nobody else ended"),
        pytest.param(0.5, "alone", id="an idle one ended too"),
        pytest.param(-0.5, "alone", id="it had ended just before"),
        pytest.param(2.0, "poison", id="it ended later"),
    ],
)
def test_the_third_end_tells_nothing_when_another_replica_left_with_it(idle_left_after_s, standing):
    story = Story().end(BAD).end(BAD).end(BAD, alone=True, idle_left_after_s=idle_left_after_s)

    assert story.standing(BAD) == [standing]


def test_a_replica_that_was_away_for_a_moment_did_not_end():
    story = Story().end(BAD).end(BAD)
    story.quarantine.lost("p3", BAD, story.now, alone=True)
    story.quarantine.settle({"other"}, {"other"}, story.now + 1.0, {"other": story.now})

    assert story.standing(BAD) == ["poison"]


def test_what_is_remembered_is_bounded():
    story = Story(QuarantineLimits(size=100))
    for number in range(60):
        texts = tuple(str(number * 10 + index) for index in range(10))
        story.end(marks_of(ScoreJob("1", "q", texts, 1.0)))
    for number in range(1000):
        story.quarantine.lost("p", marks_of(ScoreJob("1", "q", (str(number),), 1.0)), story.now)

    assert len(story.quarantine._records) <= 100
    assert sum(len(loss.chunks) for loss in story.quarantine._losses.values()) <= 100


def test_nobody_is_looked_at_while_nobody_is_suspected():
    story = Story().end(BAD, GOOD)
    assert not story.quarantine.is_idle
    story.scored(BAD, GOOD)

    assert story.quarantine.is_idle


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        pytest.param(("q", "d", None), ("q", "d", None), True, id="equal"),
        pytest.param(("q", "d", None), ("q", "e", None), False, id="another document"),
        pytest.param(("q", "d", None), ("r", "d", None), False, id="another query"),
        pytest.param(("q", "d", None), ("q", "d", ""), False, id="another instruction"),
        pytest.param(("qd", "", None), ("q", "d", None), False, id="cut elsewhere"),
        pytest.param(("q", "\ud800", None), ("q", "\ud801", None), False, id="lone surrogates"),
    ],
)
def test_a_mark_names_a_text_with_all_that_it_is_scored_with(one, other, same):
    marks = [
        marks_of(ScoreJob("1", query, (document,), 1.0, instruction))
        for query, document, instruction in (one, other)
    ]

    assert (marks[0] == marks[1]) is same


def test_texts_to_embed_have_marks_of_their_own():
    query, document = (
        marks_of(EmbedJob("1", ("a", "b"), 1.0, kind))
        for kind in (InputType.QUERY, InputType.DOCUMENT)
    )

    assert len({*query, *document}) == 4
