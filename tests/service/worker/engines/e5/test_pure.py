"""Small decisions: windows, calibration, cache."""

import itertools

import numpy as np
import pytest

from service.worker.engines.e5 import calibration
from service.worker.engines.e5.cache import EmbeddingCache, key_of
from service.worker.engines.e5.forward import batch
from service.worker.engines.e5.vocabulary import window_starts


@pytest.mark.parametrize(
    ("length", "starts"),
    [(0, [0]), (1, [0]), (100, [0]), (101, [0, 1]), (180, [0, 80]), (181, [0, 40, 81])],
    ids=["empty", "one", "exact", "one-too-many", "two-with-the-least-overlap", "three"],
)
def test_windows_are_as_few_as_cover_a_document_with_the_overlap(length, starts):
    assert window_starts(length, 100, 20) == starts


@pytest.mark.parametrize("length", [101, 500, 999, 1000, 12_345])
def test_windows_cover_everything_and_overlap(length):
    starts = window_starts(length, 100, 20)
    assert starts[0] == 0
    assert starts[-1] + 100 == length
    assert all(later - earlier <= 81 for earlier, later in itertools.pairwise(starts))


def test_the_logit_keeps_the_order_and_is_zero_at_the_centre():
    assert calibration.logit(calibration.CENTRE) == 0
    assert calibration.logit(0.9) > calibration.logit(0.85) > calibration.logit(0.7)


def test_a_query_and_a_document_of_the_same_words_have_different_keys():
    query, document = np.array([0, 41, 9, 2], np.int32), np.array([0, 46692, 9, 2], np.int32)
    assert key_of(query) != key_of(document)


def test_the_cache_forgets_the_least_recently_used():
    cache = EmbeddingCache(2)
    for name in (b"a", b"b"):
        cache.put(name, np.ones(1, np.float32))
    cache.get(b"a")
    cache.put(b"c", np.ones(1, np.float32))
    assert [cache.get(name) is not None for name in (b"a", b"b", b"c")] == [True, False, True]


def test_a_cached_embedding_does_not_hold_its_job_in_memory():
    cache = EmbeddingCache(2)
    cache.put(b"a", np.ones((1000, 4), np.float32)[3])
    found = cache.get(b"a")
    assert found is not None
    assert found.base is None


def test_a_batch_is_padded_on_the_right_and_masked():
    inputs = batch([np.array([0, 7, 2], np.int32), np.array([0, 2], np.int32)])
    assert inputs["ids"].tolist() == [[0, 7, 2], [0, 2, 1]]
    assert inputs["lengths"].tolist() == [3, 2]
    assert inputs["mask"][:, :, 0].tolist() == [[1, 1, 1], [1, 1, 0]]
