"""The words of all passages in one SQLite file (FTS5): BM25 beside a store that has none.

Written a batch at a time, so it needs no memory and no rebuilding; other processes may read it
meanwhile; what was committed survives a `kill -9`.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

from service.gateway.search.passage import Hit, Passage
from service.gateway.search.store import NothingIndexed, StoreError
from service.gateway.search.words import tokens

MAX_WORDS = 64
"""Different words of a query that are looked for: a longer text is no query."""

_WAIT_S = 10.0
_SCHEMA = """
create table if not exists passage (
    number integer primary key,
    id text not null unique,
    folder text not null,
    source text not null,
    place integer not null,
    title text not null,
    text text not null,
    digest text not null
);
create index if not exists passage_source on passage (folder, source);
create virtual table if not exists words using fts5(
    tokens, tokenize = "unicode61 remove_diacritics 0"
);
"""


class Lexicon:
    """Implements `Words`; safe to call from several threads."""

    def __init__(self, path: Path, *, create: bool) -> None:
        """Open.

        Raises:
            NothingIndexed: there is no such file and `create` is not set.
            StoreError: it is none, or this Python's SQLite has no FTS5.
        """
        if not create and not path.is_file():
            raise NothingIndexed("no words are indexed here")
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
        self._path = path
        self._lock = threading.Lock()
        with self._told():
            self._database = sqlite3.connect(
                path, timeout=_WAIT_S, check_same_thread=False, isolation_level=None
            )
            self._database.execute("pragma journal_mode = wal")
            self._database.execute("pragma synchronous = normal")
            self._database.executescript(_SCHEMA)

    def put(self, passages: Sequence[Passage]) -> None:
        """Write passages; one with the id of another takes its place."""
        with self._transaction():
            for passage in passages:
                self._forget("id = ?", passage.id)
                added = self._database.execute(
                    "insert into passage (id, folder, source, place, title, text, digest)"
                    " values (?, ?, ?, ?, ?, ?, ?)",
                    (passage.id, *passage.fields().values()),
                )
                self._database.execute(
                    "insert into words (rowid, tokens) values (?, ?)",
                    (added.lastrowid, " ".join(tokens(passage.whole))),
                )

    def remove(self, folder: str, sources: Sequence[str]) -> None:
        """Forget all passages of these sources of a folder."""
        with self._transaction():
            for source in sources:
                self._forget("folder = ? and source = ?", folder, source)

    def matching(self, query: str, limit: int) -> list[Hit]:
        wanted = list(dict.fromkeys(tokens(query)))[:MAX_WORDS]
        if not wanted:
            return []
        expression = " OR ".join(f'"{word}"' for word in wanted)
        with self._lock, self._told():
            rows = self._database.execute(
                "select folder, source, place, title, text, digest, bm25(words) as cost"
                " from words join passage on passage.number = words.rowid"
                " where words match ? order by cost, number limit ?",
                (expression, limit),
            ).fetchall()
        return [Hit(Passage(*row[:-1]), -row[-1]) for row in rows]

    def close(self) -> None:
        with self._lock:
            self._database.close()

    def _forget(self, where: str, *values: str) -> None:
        which = f"select number from passage where {where}"  # noqa: S608 - our own words
        self._database.execute(f"delete from words where rowid in ({which})", values)  # noqa: S608
        self._database.execute(f"delete from passage where {where}", values)  # noqa: S608

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._lock, self._told():
            self._database.execute("begin immediate")
            try:
                yield
            except BaseException:
                self._database.execute("rollback")
                raise
            self._database.execute("commit")

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            is_busy = "locked" in str(error)
            raise StoreError(f"the words in {self._path}: {error}", busy=is_busy) from error
        except sqlite3.Error as error:
            raise StoreError(f"the words in {self._path}: {error}") from error
