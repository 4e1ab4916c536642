"""What every store owes the index: the same tests on each of them.

Milvus Lite and Qdrant's local mode are the real ones, in this process. The Milvus server's adapter
runs against Milvus Lite's own gRPC server, which speaks Milvus's protocol. Elasticsearch and
OpenSearch are a server that speaks the documented HTTP (`fake_elastic.py`).
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from service.embedding import Vector, pack
from service.gateway.search.passage import Mark, Passage, complete
from service.gateway.search.store import NothingIndexed, Store, StoreError
from tests.service.gateway.search.stores.fake_elastic import FakeElastic, serving

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")

FOLDER = "/srv/docs"
PAGE = 20
"""Small, so that several are read without writing thousands of passages."""


@dataclass
class Shelf:
    """Where stores of one kind are opened; two at once where it is a server."""

    open: Callable[..., Store]
    is_server: bool = False


@contextlib.contextmanager
def milvus_lite(folder: Path) -> Iterator[Shelf]:
    from service.gateway.search.stores.milvus_lite import MilvusLiteStore

    yield Shelf(lambda name="docs", create=True: MilvusLiteStore(folder, name, 3, create=create))


@contextlib.contextmanager
def milvus(folder: Path) -> Iterator[Shelf]:
    from milvus_lite.adapter.grpc.server import start_server_in_thread

    from service.gateway.search.stores.milvus import MilvusStore

    server, database, port = start_server_in_thread(str(folder))
    uri = f"http://127.0.0.1:{port}"
    yield Shelf(
        lambda name="docs", create=True: MilvusStore(uri, name, 3, create=create, page=PAGE),
        is_server=True,
    )
    server.stop(grace=0).wait(5)
    database.close()


@contextlib.contextmanager
def qdrant(folder: Path) -> Iterator[Shelf]:
    from service.gateway.search.stores.qdrant import QdrantStore

    yield Shelf(
        lambda name="docs", create=True: QdrantStore(folder, name, 3, create=create, page=PAGE)
    )


def elastic(distribution: str | None):
    @contextlib.contextmanager
    def opened(folder: Path) -> Iterator[Shelf]:
        from service.gateway.search.stores.elastic import ElasticStore

        with serving(FakeElastic(distribution)) as url:
            yield Shelf(
                lambda name="docs", create=True: ElasticStore(
                    url, name, 3, create=create, page=PAGE
                ),
                is_server=True,
            )

    return opened


KINDS = {
    "milvus-lite": milvus_lite,
    "milvus-protocol": milvus,
    "qdrant-local": qdrant,
    "elasticsearch-fake": elastic(None),
    "opensearch-fake": elastic("opensearch"),
}


@pytest.fixture(params=KINDS)
def shelf(request, tmp_path):
    with KINDS[request.param](tmp_path / "store") as made:
        yield made


@pytest.fixture
def store(shelf):
    opened = shelf.open()
    yield opened
    opened.close()


def passage(source: str, place: int = 0, *, folder: str = FOLDER, text: str = "") -> Passage:
    return Passage(folder, source, place, f"title of {source}", text or f"text {place}", "d1")


def vector(degrees: float) -> Vector:
    angle = math.radians(degrees)
    return Vector(pack([math.cos(angle), math.sin(angle), 0.0]), 1)


def put(store: Store, *placed: tuple[Passage, float]) -> None:
    store.put([one for one, _ in placed], [vector(degrees) for _, degrees in placed])


def found(store: Store, degrees: float, limit: int = 10) -> list[Passage]:
    return [hit.passage for hit in store.nearest(vector(degrees), limit)]


def test_the_nearest_come_first_and_whole(store):
    a, b, c = (
        passage("a.md"),
        passage("b.md", 1, text="中文 \"quoted\" \\ back\nline 'x'"),
        passage("c"),
    )
    put(store, (a, 0), (b, 30), (c, 90))

    hits = store.nearest(vector(25), 2)

    assert [hit.passage for hit in hits] == [b, a]
    assert hits[0].score > hits[1].score


def test_more_than_there_are_is_all_of_them(store):
    put(store, (passage("a"), 0))
    assert len(store.nearest(vector(0), 100)) == 1


def test_an_empty_index_answers_nothing(store):
    assert store.nearest(vector(0), 10) == []
    assert list(store.marks(FOLDER)) == []


def test_the_same_passage_takes_its_own_place(store):
    put(store, (passage("a", text="old"), 0))
    put(store, (passage("a", text="new"), 90))

    assert [one.text for one in found(store, 90)] == ["new"]


@pytest.mark.parametrize(
    "name",
    [
        "plain.md",
        "with space.md",
        "q'uote\"s.md",
        "back\\slash.md",
        "文档/页.md",
        "a%b_c.md",
        "é.md",
    ],
)
def test_a_source_is_removed_by_its_name_whatever_it_is(store, name):
    put(store, (passage(name, 0), 0), (passage(name, 1), 10), (passage("other"), 20))

    store.remove(FOLDER, [name])

    assert [one.source for one in found(store, 0)] == ["other"]


def test_removing_leaves_other_folders_alone(store):
    put(store, (passage("a"), 0), (passage("a", folder="/srv/wiki"), 10))

    store.remove(FOLDER, ["a"])
    store.remove(FOLDER, ["never there"])
    store.remove(FOLDER, [])

    assert [one.folder for one in found(store, 0)] == ["/srv/wiki"]


def test_marks_are_those_of_one_folder(store):
    put(store, (passage("a", 0), 0), (passage("a", 1), 1), (passage("b", folder="/srv/wiki"), 2))

    marks = sorted(store.marks(FOLDER), key=lambda mark: mark.place)

    assert marks == [Mark("a", 0, "d1"), Mark("a", 1, "d1")]


def test_marks_go_on_behind_a_page(store):
    many = [passage(f"{n:05}") for n in range(2 * PAGE + 1)]
    store.put(many, [vector(n) for n in range(len(many))])

    assert complete(store.marks(FOLDER)) == {one.source: "d1" for one in many}

    store.remove(FOLDER, [one.source for one in many[1:]])
    assert [mark.source for mark in store.marks(FOLDER)] == ["00000"]


def test_what_was_written_is_there_after_closing(shelf):
    first = shelf.open()
    put(first, (passage("a"), 0))
    first.close()

    again = shelf.open(create=False)
    assert [one.source for one in found(again, 0)] == ["a"]
    again.close()


def test_an_index_that_is_not_there_is_not_made_by_looking(shelf):
    with pytest.raises(NothingIndexed):
        shelf.open(create=False)
    shelf.open("other").close()
    with pytest.raises(NothingIndexed):
        shelf.open(create=False)


def test_indexes_of_two_names_do_not_meet(shelf):
    first = shelf.open("one")
    put(first, (passage("a"), 0))
    first.close()
    second = shelf.open("two")
    assert second.nearest(vector(0), 10) == []
    second.close()


def test_closing_twice_does_no_harm(shelf):
    opened = shelf.open()
    opened.close()
    opened.close()


def test_a_store_in_this_process_is_for_one_at_a_time_and_says_so(shelf):
    if shelf.is_server:
        pytest.skip("a server takes many")
    held = shelf.open()
    with pytest.raises(StoreError, match="in use by another process") as refused:
        shelf.open()
    assert refused.value.busy
    held.close()
    shelf.open().close()


def test_a_server_takes_two_at_once(shelf):
    if not shelf.is_server:
        pytest.skip("for one at a time")
    first, second = shelf.open(), shelf.open()
    put(first, (passage("a"), 0))
    assert [one.source for one in found(second, 0)] == ["a"]
    first.close()
    second.close()
