"""A folder into a real index (Milvus Lite and the word file) and out of it again."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from service.gateway.search.cut import Cutter
from service.gateway.search.indexer import Indexer, Progress
from service.gateway.search.library import Library
from service.gateway.search.opening import open_index
from service.gateway.search.plan import Recall, Rerank, Why
from service.gateway.search.reader import Reader
from service.gateway.search.remote import Unanswered
from service.gateway.search.searcher import Asked, Searcher
from service.gateway.search.store import NothingIndexed, StoreError
from service.settings import SearchSettings
from tests.service.gateway.search.models import DIMENSION, SPACE, WordModels

SETTINGS = SearchSettings()


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "drain.md").write_text("# Drain a replica\n\nTake the replica out of traffic.")
    (folder / "restart.md").write_text("# Restart\n\nA hung engine starts again.")
    (folder / "alerts.md").write_text("# Alerts\n\nSend messages to a webhook.")
    return folder


def index(folder: Path, state_dir: Path, models: WordModels | None = None) -> Progress:
    opened = open_index(SETTINGS, state_dir, SPACE, DIMENSION, create=True)
    try:
        indexer = Indexer(
            opened.store, opened.writer, models or WordModels(), Cutter(60), space=SPACE
        )
        return indexer.run(str(folder.resolve()), Reader(max_file_bytes=10_000).read(folder))
    finally:
        opened.close()


async def search(state_dir: Path, models: WordModels, asked: Asked):
    library = Library(
        lambda space, dimension: open_index(SETTINGS, state_dir, space, dimension, create=False)
    )
    try:
        return await Searcher(library, models).search(asked)
    finally:
        await library.close()


def sources(outcome) -> list[str]:
    return [one.passage.source for one in outcome.results]


async def test_the_page_is_found(docs, tmp_path):
    done = index(docs, tmp_path)
    asked = Asked("drain a replica", recall=Recall.FUSION)
    outcome = await search(tmp_path, WordModels(same=True), asked)

    assert (done.seen, done.indexed, done.passages) == (3, 3, 3)
    assert sources(outcome)[0] == "drain.md"
    assert outcome.plan.recall is Recall.FUSION
    assert outcome.plan.why is Why.SAME_MODEL_FUSED
    assert (outcome.results[0].dense_rank, outcome.results[0].lexical_rank) == (1, 1)


def test_only_what_changed_is_embedded_again(docs, tmp_path):
    index(docs, tmp_path)
    (docs / "restart.md").write_text("# Restart\n\nSomething else.")
    (docs / "alerts.md").unlink()
    (docs / "new.md").write_text("# New\n\nPage.")
    models = WordModels()

    done = index(docs, tmp_path, models)

    assert (done.seen, done.unchanged, done.indexed, done.removed) == (3, 1, 2, 1)
    assert sorted(text.split("\n")[0] for text in models.embedded) == ["New", "Restart"]
    assert index(docs, tmp_path).unchanged == 3


async def test_what_is_gone_is_found_no_more(docs, tmp_path):
    index(docs, tmp_path)
    (docs / "drain.md").write_text("# Other\n\nThing.")
    index(docs, tmp_path)

    for recall in (Recall.DENSE, Recall.LEXICAL):
        outcome = await search(tmp_path, WordModels(), Asked("drain", recall=recall))
        assert "Drain a replica" not in {one.passage.title for one in outcome.results}


async def test_two_folders_live_in_one_index_and_do_not_remove_each_other(docs, tmp_path):
    other = tmp_path / "wiki"
    other.mkdir()
    (other / "drain.md").write_text("# Drain the pool\n\nOpen the valve.")
    index(docs, tmp_path)
    index(other, tmp_path)

    outcome = await search(tmp_path, WordModels(), Asked("drain", recall=Recall.LEXICAL))

    assert len(outcome.results) == 2


async def test_a_page_that_got_shorter_leaves_no_old_passages(docs, tmp_path):
    (docs / "long.md").write_text("# Long\n\n" + "zebra word " * 300)
    assert index(docs, tmp_path).passages > 5
    (docs / "long.md").write_text("# Long\n\nzebra once")
    index(docs, tmp_path)

    asked = Asked("zebra", top=50, recall=Recall.LEXICAL, per_source=0)
    outcome = await search(tmp_path, WordModels(), asked)

    assert len(outcome.results) == 1


async def test_the_second_stage_orders_anew_and_says_what_changed(docs, tmp_path):
    index(docs, tmp_path)
    models = WordModels(favourites=["webhook"])
    asked = Asked("drain a replica", instruction="what helps", recall=Recall.DENSE)

    outcome = await search(tmp_path, models, asked)

    first = outcome.results[0]
    assert (first.passage.source, first.rank) == ("alerts.md", 1)
    assert first.recall_rank > 1
    assert first.relevance == 0.1
    assert outcome.movement.is_first_new
    assert outcome.rerank_model == "reranker"
    assert outcome.times.rerank_s is not None
    assert models.instructions == ["what helps"]


async def test_without_a_second_stage_nothing_is_judged(docs, tmp_path):
    index(docs, tmp_path)
    models = WordModels()
    outcome = await search(tmp_path, models, Asked("drain", rerank=Rerank.NEVER))
    assert models.judged == []
    assert (outcome.movement, outcome.results[0].relevance) == (None, None)


async def test_no_more_candidates_than_asked_are_judged(docs, tmp_path):
    index(docs, tmp_path)
    models = WordModels()
    await search(tmp_path, models, Asked("drain", top=1, candidates=2, rerank=Rerank.ALWAYS))
    assert len(models.judged[0]) == 2


async def test_before_anything_is_indexed_it_says_what_to_run(tmp_path):
    with pytest.raises(NothingIndexed, match="rankguard search index"):
        await search(tmp_path, WordModels(), Asked("drain"))


async def test_an_index_of_another_model_is_not_searched(docs, tmp_path):
    index(docs, tmp_path)
    models = WordModels()
    models.space = "another model"
    with pytest.raises(NothingIndexed, match="nothing is indexed for this model"):
        await search(tmp_path, models, Asked("drain"))


def test_a_model_that_is_exchanged_under_way_ends_the_run(docs, tmp_path):
    models = WordModels()
    models.space = "another model"
    with pytest.raises(StoreError, match="exchanged"):
        index(docs, tmp_path, models)


def test_a_run_that_broke_off_is_gone_on_with(docs, tmp_path):
    class Breaking(WordModels):
        def embed(self, texts, input_type):
            if len(self.embedded) >= 20:
                raise Unanswered("gone")
            return super().embed(texts, input_type)

    for number in range(40):
        (docs / f"page{number}.md").write_text(f"# Page {number}\n\ntext")
    with pytest.raises(Unanswered):
        index(docs, tmp_path, Breaking())

    done = index(docs, tmp_path)

    assert 0 < done.unchanged < 43
    assert done.unchanged + done.indexed == 43


def test_a_source_that_is_there_in_part_is_indexed_again(docs, tmp_path):
    (docs / "long.md").write_text("# Long\n\n" + "zebra word " * 300)
    index(docs, tmp_path)
    opened = open_index(SETTINGS, tmp_path, SPACE, DIMENSION, create=True)
    marks = [mark for mark in opened.store.marks(str(docs.resolve())) if mark.source == "long.md"]
    # what a kill leaves behind: the first passage, which is written last, is missing
    rows = opened.store._query("place == 0", ["id", "source"])
    opened.store._collection.delete([row["id"] for row in rows if row["source"] == "long.md"])
    opened.close()

    done = index(docs, tmp_path)

    assert len(marks) > 5
    assert (done.indexed, done.unchanged) == (1, 3)


_WRITER = """
import os, sys
from pathlib import Path
from service.gateway.search import indexer
from tests.service.gateway.search.models import WordModels
from tests.service.gateway.search import test_index_and_search as here
indexer.BATCH_MOST = 8
class Telling(WordModels):
    def embed(self, texts, input_type):
        if len(self.embedded) > 100 and not self.told:
            self.told = True
            print("amid the work", flush=True)
            sys.stdin.readline()
        return super().embed(texts, input_type)
    told = False
here.index(Path(sys.argv[1]), Path(sys.argv[2]), Telling())
sys.stdin.readline()
"""


@pytest.mark.e2e
def test_what_was_written_survives_kill_9(docs, tmp_path):
    for number in range(2000):
        (docs / f"page{number:04}.md").write_text(f"# Page {number}\n\nword{number}")
    writer = subprocess.Popen(
        [sys.executable, "-c", _WRITER, str(docs), str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[4],
    )
    assert writer.stdin is not None
    assert writer.stdout is not None
    assert writer.stdout.readline() == "amid the work\n"

    with pytest.raises(StoreError, match="in use by another process") as refused:
        index(docs, tmp_path)
    writer.stdin.write("go on\n")
    writer.stdin.flush()
    writer.send_signal(signal.SIGKILL)
    assert writer.wait(10) == -signal.SIGKILL
    writer.stdin.close()
    writer.stdout.close()

    assert refused.value.busy
    outcome = asyncio.run(search(tmp_path, WordModels(), Asked("drain a replica")))
    assert sources(outcome)[0] == "drain.md"
    done = index(docs, tmp_path)
    assert done.unchanged >= 50
    assert done.unchanged + done.indexed == 2003


async def test_an_index_is_given_back_when_nobody_searches(docs, tmp_path):
    index(docs, tmp_path)
    library = Library(
        lambda space, dimension: open_index(SETTINGS, tmp_path, space, dimension, create=False),
        idle_s=0.05,
    )
    await Searcher(library, WordModels()).search(Asked("drain"))
    with pytest.raises(StoreError):
        index(docs, tmp_path)

    indexed = None
    for _ in range(3000):
        await asyncio.sleep(0.01)
        with contextlib.suppress(StoreError):  # until it is closed
            indexed = index(docs, tmp_path)
            break
    assert indexed is not None
    assert indexed.unchanged == 3
    outcome = await Searcher(library, WordModels()).search(Asked("drain"))
    assert outcome.results
    await library.close()


async def test_the_event_loop_goes_on_while_an_index_is_opened(docs, tmp_path):
    index(docs, tmp_path)
    asked, go_on = threading.Event(), threading.Event()

    def opener(space, dimension):
        asked.set()
        assert go_on.wait(60)
        return open_index(SETTINGS, tmp_path, space, dimension, create=False)

    library = Library(opener)
    search = asyncio.ensure_future(Searcher(library, WordModels()).search(Asked("drain")))
    assert await asyncio.to_thread(asked.wait, 60)
    assert not search.done()
    go_on.set()
    assert (await search).results
    await library.close()


async def test_searches_at_once_share_one_index(docs, tmp_path):
    index(docs, tmp_path)
    opened = []

    def opener(space, dimension):
        opened.append(space)
        return open_index(SETTINGS, tmp_path, space, dimension, create=False)

    library = Library(opener)
    searcher = Searcher(library, WordModels())
    found = await asyncio.gather(*(searcher.search(Asked("drain")) for _ in range(8)))
    await library.close()

    assert len(opened) == 1
    assert {tuple(sources(one)) for one in found} == {tuple(sources(found[0]))}
