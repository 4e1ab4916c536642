"""Reranking tasks of MTEB by name: from the hub, from its cache, or from a folder that was copied.

Two layouts are on the hub. Since 2025 tables `corpus`, `queries`, `qrels` and `top_ranked`, each
with the language before it where a task has several (`de-corpus`); before, one table of `query`,
`positive` and `negative` texts. Both bring their own candidates. (embeddings-benchmark/mteb,
docs on adding a dataset.)
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from deploy.evaluate.dataset import ANY_LANGUAGE, DataError, Dataset, Text, index_texts

PREFIX = "mteb:"
_OWNER = "mteb"
_SPLITS = ("test", "dev", "validation")
_TABLES = ("corpus", "queries", "qrels", "top_ranked")
_PATTERNS = ["*.parquet", "*.jsonl", "*.jsonl.gz"]
_SUFFIX = re.compile(r"\.(parquet|jsonl|jsonl\.gz)$")

Row = Mapping[str, Any]


def load(spec: str, *, split: str = "") -> Dataset:
    """A task.

    Args:
        spec: `mteb:TASK`, `mteb:OWNER/TASK` or `mteb:FOLDER`.
        split: empty: the first of test, dev, validation that there is.

    Raises:
        DataError: it cannot be had, or has neither layout.
    """
    wanted = spec.removeprefix(PREFIX)
    folder = Path(wanted).expanduser()
    if not folder.is_dir():
        folder = _from_hub(wanted if "/" in wanted else f"{_OWNER}/{wanted}")
    return read(folder, name=wanted.rstrip("/").rpartition("/")[2], split=split)


def _from_hub(repository: str) -> Path:
    try:
        from huggingface_hub import snapshot_download  # noqa: PLC0415 - comes with extra ui
        from huggingface_hub.errors import HfHubHTTPError, HFValidationError  # noqa: PLC0415
    except ImportError:
        raise DataError("huggingface_hub is missing: pip install huggingface_hub") from None
    try:
        return Path(
            snapshot_download(
                repository, repo_type="dataset", allow_patterns=_PATTERNS, etag_timeout=10
            )
        )
    except (OSError, HfHubHTTPError, HFValidationError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(
            f"{repository} cannot be had from the hub ({reason}); copy the data set's folder "
            f"here and say {PREFIX}FOLDER"
        ) from None


def read(folder: Path, *, name: str, split: str = "") -> Dataset:
    """The data set in a folder laid out as on the hub.

    Raises:
        DataError: it has neither layout, or a table lacks a column.
    """
    files = sorted(file for file in folder.rglob("*") if _SUFFIX.search(file.name))
    by_table: dict[tuple[str, str], list[Path]] = {}
    for file in files:
        found = _table(file.relative_to(folder))
        if found is not None:
            by_table.setdefault(found, []).append(file)
    languages = sorted({language for table, language in by_table if table == "queries"})
    if languages:
        parts = [_tables(by_table, language, split) for language in languages]
    else:
        parts = [_rows_with_texts(list(_rows(_chosen(files, split, folder))))]
    return _joined(name, parts)


def _table(path: Path) -> tuple[str, str] | None:
    """Which table a file belongs to, and of which language: by a folder's or the file's name."""
    for part in (*path.parts[:-1], _SUFFIX.sub("", path.name)):
        for table in _TABLES:
            if part == table or part.startswith(f"{table}-0"):
                return table, ""
            if part.endswith(f"-{table}"):
                return table, part.removesuffix(f"-{table}")
    return None


Part = tuple[dict[str, Text], dict[str, Text], dict[str, dict[str, int]], dict[str, list[str]]]
"""Queries, documents, judgements and candidates of one language."""


def _tables(by_table: Mapping[tuple[str, str], list[Path]], language: str, split: str) -> Part:
    def rows(table: str) -> list[Row]:
        files = by_table.get((table, language), [])
        return list(_rows(_chosen(files, split, Path(table)))) if files else []

    lang = language or ANY_LANGUAGE
    mark = f"{language}/" if language else ""  # two languages may number their texts alike
    queries = index_texts((_text(row, mark, lang) for row in rows("queries")), "query")
    documents = index_texts((_text(row, mark, lang) for row in rows("corpus")), "document")
    judgements: dict[str, dict[str, int]] = {}
    for row in rows("qrels"):
        query, document = f"{mark}{_of(row, 'query-id')}", f"{mark}{_of(row, 'corpus-id')}"
        judgements.setdefault(query, {})[document] = int(_of(row, "score"))
    candidates = {
        f"{mark}{_of(row, 'query-id')}": [f"{mark}{each}" for each in _of(row, "corpus-ids")]
        for row in rows("top_ranked")
    }
    return dict(queries), dict(documents), judgements, candidates


def _rows_with_texts(rows: Iterable[Row]) -> Part:
    queries: dict[str, Text] = {}
    documents: dict[str, Text] = {}
    judgements: dict[str, dict[str, int]] = {}
    candidates: dict[str, list[str]] = {}
    for number, row in enumerate(rows):
        asked = _of(row, "query")
        query = f"q{number}"
        queries[query] = Text(query, asked if isinstance(asked, str) else " ".join(asked))
        for column, grade in (("positive", 1), ("negative", 0)):
            for text in _of(row, column):
                # the same text is the same document, or a query's twin would count as a miss
                key = hashlib.sha256(text.encode()).hexdigest()[:16]
                documents[key] = Text(key, text)
                if grade or key not in judgements.get(query, {}):
                    judgements.setdefault(query, {})[key] = grade
                candidates.setdefault(query, []).append(key)
    return queries, documents, judgements, candidates


def _joined(name: str, parts: Iterable[Part]) -> Dataset:
    queries: dict[str, Text] = {}
    documents: dict[str, Text] = {}
    judgements: dict[str, dict[str, int]] = {}
    candidates: dict[str, list[str]] = {}
    for part in parts:
        for whole, more in zip((queries, documents, judgements, candidates), part, strict=True):
            whole.update(more)  # type: ignore[attr-defined]
    if not (queries and documents and judgements):
        raise DataError(f"{name}: no queries, documents or judgements in this split")
    return Dataset(
        name=f"{PREFIX}{name}",
        queries=queries,
        documents=documents,
        judgements=judgements,
        candidates=candidates or None,
        licence="see the data set's card on the hub",
    )


def _chosen(files: list[Path], split: str, where: Path) -> list[Path]:
    """The files of one split; tables that know no splits have one name only."""
    by_split: dict[str, list[Path]] = {}
    for file in files:
        by_split.setdefault(re.split(r"[-.]", file.name, maxsplit=1)[0], []).append(file)
    if len(by_split) == 1 and (not split or split not in by_split):
        only = next(iter(by_split))
        if not split or only in _TABLES or only not in (*_SPLITS, "train"):
            return by_split[only]
    for wanted in [split] if split else _SPLITS:
        if wanted in by_split:
            return by_split[wanted]
    there = ", ".join(sorted(by_split)) or "nothing"
    raise DataError(f"{where} has {there}: say which with --split")


def _rows(files: Iterable[Path]) -> Iterator[Row]:
    for file in files:
        if file.suffix == ".parquet":
            yield from _parquet(file)
            continue
        opened = gzip.open if file.suffix == ".gz" else open
        with opened(file, "rt", encoding="utf-8") as lines:
            for number, line in enumerate(lines, start=1):
                try:
                    row = json.loads(line)
                except ValueError:
                    raise DataError(f"{file}:{number} is not JSON") from None
                yield row


def _parquet(file: Path) -> Iterator[Row]:
    try:
        from pyarrow import ArrowInvalid  # noqa: PLC0415 - comes with extra search
        from pyarrow.parquet import ParquetFile  # noqa: PLC0415
    except ImportError:
        raise DataError("pyarrow is missing: pip install pyarrow") from None
    try:
        for batch in ParquetFile(file).iter_batches():
            yield from batch.to_pylist()
    except (ArrowInvalid, OSError) as error:
        raise DataError(f"{file}: {error}") from None


def _text(row: Row, mark: str, lang: str) -> Text:
    key = row.get("_id", row.get("id"))
    if key is None:
        raise DataError(f"a row has no _id: {sorted(row)}")
    title = str(row.get("title") or "").strip()
    return Text(f"{mark}{key}", f"{title} {_of(row, 'text')}".strip(), lang)


def _of(row: Row, column: str) -> Any:
    try:
        return row[column]
    except KeyError:
        raise DataError(f"a row has no column {column}, but {', '.join(sorted(row))}") from None
