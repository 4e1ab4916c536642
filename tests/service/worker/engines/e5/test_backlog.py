from collections import Counter

import pytest

from service.worker.engines.e5.backlog import Backlog, Item


def everything(backlog: Backlog, budget: int) -> list[list[Item]]:
    passes = []
    while items := backlog.take(budget):
        passes.append(items)
    return passes


def test_an_empty_backlog_gives_nothing():
    assert Backlog(100).take(512) == []


@pytest.mark.parametrize(
    ("lengths", "sizes"),
    [
        ([100] * 5, [5]),
        ([100] * 7, [5, 2]),
        ([512, 512], [1, 1]),
        ([512, 20], [1, 1]),
        ([30, 28, 26, 10, 9], [3, 2]),
        ([600], [1]),
    ],
    ids=[
        "fits-exactly",
        "the-rest-in-a-second-pass",
        "a-full-window-goes-alone",
        "short-is-not-padded-to-long",
        "similar-lengths-share",
        "longer-than-the-budget-goes-alone",
    ],
)
def test_windows_share_a_pass_when_they_fit_and_are_of_similar_length(lengths, sizes):
    backlog = Backlog(10_000)
    backlog.add(1, lengths)
    assert [len(items) for items in everything(backlog, 512)] == sizes


def test_every_window_is_given_exactly_once():
    backlog = Backlog(10**6)
    backlog.add(1, [index % 97 + 1 for index in range(400)])
    backlog.add(2, [index % 31 + 1 for index in range(300)])
    given = Counter(item for items in everything(backlog, 512) for item in items)
    assert set(given.values()) == {1}
    assert len(given) == 700
    assert backlog.tokens == 0


def test_a_small_job_has_its_turn_before_a_big_one_is_done():
    backlog = Backlog(10**6)
    backlog.add(1, [500] * 1000)
    backlog.add(2, [20])
    first_two = [item.job for items in (backlog.take(512), backlog.take(512)) for item in items]
    assert 2 in first_two


def test_jobs_of_the_same_length_share_each_pass_evenly():
    backlog = Backlog(10**6)
    backlog.add(1, [32] * 1000)
    backlog.add(2, [32] * 1000)
    assert Counter(item.job for item in backlog.take(512)) == {1: 8, 2: 8}


def test_a_dropped_job_is_never_given_and_frees_its_room():
    backlog = Backlog(1000)
    backlog.add(1, [500, 500])
    backlog.drop(1)
    assert backlog.add(2, [1000])
    assert [item.job for items in everything(backlog, 512) for item in items] == [2]


def test_dropping_an_unknown_job_changes_nothing():
    backlog = Backlog(1000)
    backlog.add(1, [10])
    backlog.drop(7)
    assert backlog.tokens == 10


def test_a_job_that_does_not_fit_is_refused_whole():
    backlog = Backlog(1000)
    backlog.add(1, [900])
    assert not backlog.add(2, [50, 51])
    assert backlog.tokens == 900
    assert backlog.add(3, [100])
