"""What the servers' adapters do when the server refuses, lies or is not there."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from service.embedding import Vector, pack
from service.gateway.search.opening import collection_name, open_index
from service.gateway.search.passage import Passage
from service.gateway.search.secret import read_secret
from service.gateway.search.store import NothingIndexed, StoreError
from service.gateway.search.stores.elastic import ElasticStore
from service.settings import SearchSettings
from tests.service.gateway.search.stores.fake_elastic import FakeElastic, serving

ONE = Passage("/f", "a.md", 0, "Drain", "drain a replica", "d")
VECTOR = Vector(pack([1.0, 0.0]), 1)


def nowhere() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}"


def test_a_bulk_answer_of_200_with_errors_is_an_error():
    fake = FakeElastic()
    fake.refuse_text = "poison"
    with serving(fake) as url:
        store = ElasticStore(url, "docs", 2, create=True)
        bad = Passage("/f", "b.md", 0, "", "poison", "d")
        with pytest.raises(StoreError, match="refused 1 passages: failed to parse"):
            store.put([ONE, bad], [VECTOR, VECTOR])
        store.close()


def test_words_are_matched_by_the_server_itself():
    with serving(FakeElastic()) as url:
        settings = SearchSettings(store="elasticsearch", uri=url)
        index = open_index(settings, Path("/nowhere"), "space", 2, create=True)
        index.store.put([ONE], [VECTOR])
        assert index.words is not None
        assert [hit.passage for hit in index.words.matching("how to DRAIN", 5)] == [ONE]
        assert index.words.matching("zebra", 5) == []
        assert index.writer is None
        index.close()


def test_the_authorization_header_comes_from_its_file_and_a_wrong_one_is_said(tmp_path):
    (tmp_path / "secret").write_text("ApiKey abc\n")
    with serving(FakeElastic(authorization="ApiKey abc")) as url:
        settings = SearchSettings(store="elasticsearch", uri=url, secret_file=tmp_path / "secret")
        open_index(settings, tmp_path, "space", 2, create=True).close()
        (tmp_path / "secret").write_text("ApiKey wrong")
        with pytest.raises(StoreError, match="401") as refused:
            open_index(settings, tmp_path, "space", 2, create=True)
    assert "wrong" not in str(refused.value)


@pytest.mark.parametrize("store", ["elasticsearch", "milvus", "qdrant"])
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_a_server_that_is_not_there_is_a_sentence(store, tmp_path, monkeypatch):
    from service.gateway.search.stores import milvus

    monkeypatch.setattr(milvus, "TIMEOUT_S", 0.5)  # pymilvus tries again and again until then
    with pytest.raises(StoreError):
        open_index(SearchSettings(store=store, uri=nowhere()), tmp_path, "s", 2, create=False)


def test_elasticsearch_without_an_address_is_refused(tmp_path):
    with pytest.raises(StoreError, match="uri has to be the address"):
        open_index(SearchSettings(store="elasticsearch"), tmp_path, "s", 2, create=True)


def test_another_model_has_another_index():
    settings = SearchSettings()
    names = {collection_name(settings, space) for space in ("one", "two", "one")}
    assert len(names) == 2
    assert all(name.startswith("docs_") for name in names)


def test_a_folder_of_ones_own_holds_all_of_the_index(tmp_path):
    settings = SearchSettings(uri=str(tmp_path / "mine"))
    open_index(settings, tmp_path / "state", "s", 2, create=True).close()
    assert max(path.name for path in (tmp_path / "mine").iterdir()) == "milvus"
    assert not (tmp_path / "state").exists()


def test_without_its_word_file_an_index_has_vectors_only(tmp_path):
    index = open_index(SearchSettings(), tmp_path, "s", 2, create=True)
    index.close()
    for path in (tmp_path / "search").glob("*.words.db*"):
        path.unlink()
    again = open_index(SearchSettings(), tmp_path, "s", 2, create=False)
    assert again.words is None
    again.close()


def test_qdrant_in_this_process(tmp_path):
    settings = SearchSettings(store="qdrant")
    with pytest.raises(NothingIndexed, match="rankguard search index"):
        open_index(settings, tmp_path, "s", 2, create=False)
    open_index(settings, tmp_path, "s", 2, create=True).close()
    assert (tmp_path / "search" / "qdrant").is_dir()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        pytest.param(None, "cannot be read", id="not there"),
        pytest.param(b"", "one line", id="empty"),
        pytest.param(b"a\nb", "one line", id="two lines"),
        pytest.param("ключ".encode(), "ASCII", id="not ASCII"),
    ],
)
def test_a_secret_that_is_none_is_said_without_showing_it(tmp_path, content, words):
    path = tmp_path / "secret"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(StoreError, match=words):
        read_secret(path)
