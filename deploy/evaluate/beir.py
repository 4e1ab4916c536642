"""BEIR folders: `corpus.jsonl`, `queries.jsonl`, `qrels/*.tsv`; and `dataset.json`, ours, optional.

A line may name its language as `lang` or `language`, at the top or in `metadata`. `dataset.json`
holds `name`, `licence`, `pairs` and `queries_per_pair`, as `Dataset` has them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from deploy.evaluate.dataset import ANY_LANGUAGE, DataError, Dataset, Text, index_texts

PREFERRED_SPLIT = "test"


def read(folder: Path, *, split: str = "") -> Dataset:
    """The data set in a folder.

    Args:
        split: which file of `qrels/`; empty: `test`, or the only one.

    Raises:
        DataError: a file is missing or a line is wrong; names file and line.
    """
    judgements = read_qrels(_qrels_file(folder / "qrels", split))
    about = _about(folder / "dataset.json")
    return Dataset(
        name=str(about.get("name") or folder.resolve().name),
        queries=index_texts(_texts(folder / "queries.jsonl"), "query"),
        documents=index_texts(_texts(folder / "corpus.jsonl"), "document"),
        judgements=judgements,
        pairs=tuple((str(pair[0]), str(pair[1])) for pair in about.get("pairs") or ()),
        queries_per_pair=about.get("queries_per_pair"),
        licence=str(about.get("licence") or "unknown"),
    )


def write(dataset: Dataset, folder: Path) -> None:
    """Write a data set as a BEIR folder; `dataset.json` last, so that it marks a whole one."""
    (folder / "qrels").mkdir(parents=True, exist_ok=True)
    for name, texts in (("corpus", dataset.documents), ("queries", dataset.queries)):
        with (folder / f"{name}.jsonl").open("w", encoding="utf-8") as file:
            for text in texts.values():
                line = {"_id": text.id, "title": "", "text": text.text, "lang": text.lang}
                file.write(json.dumps(line, ensure_ascii=False) + "\n")
    with (folder / "qrels" / f"{PREFERRED_SPLIT}.tsv").open("w", encoding="utf-8") as file:
        file.write("query-id\tcorpus-id\tscore\n")
        for query, grades in dataset.judgements.items():
            for document, grade in grades.items():
                file.write(f"{query}\t{document}\t{grade}\n")
    about = {
        "name": dataset.name,
        "licence": dataset.licence,
        "pairs": [list(pair) for pair in dataset.pairs],
        "queries_per_pair": dataset.queries_per_pair,
    }
    (folder / "dataset.json").write_text(
        json.dumps(about, ensure_ascii=False, indent=1), encoding="utf-8"
    )


def read_qrels(path: Path) -> dict[str, dict[str, int]]:
    """Judgements: BEIR's three columns (with or without header) or TREC's four.

    Raises:
        DataError: a line has neither three nor four columns, or no whole number as grade.
    """
    found: dict[str, dict[str, int]] = {}
    with _open(path) as file:
        for number, line in enumerate(file, start=1):
            columns = line.split()
            if not columns or (number == 1 and not columns[-1].lstrip("-").isdigit()):
                continue
            if len(columns) not in {3, 4} or not columns[-1].lstrip("-").isdigit():
                raise DataError(f"{path}:{number} is neither a BEIR nor a TREC judgement")
            found.setdefault(columns[0], {})[columns[-2]] = int(columns[-1])
    if not found:
        raise DataError(f"{path} holds no judgement")
    return found


def _qrels_file(folder: Path, split: str) -> Path:
    files = sorted(folder.glob("*.tsv"))
    by_name = {file.stem: file for file in files}
    wanted = split or (PREFERRED_SPLIT if PREFERRED_SPLIT in by_name else "")
    if wanted and wanted in by_name:
        return by_name[wanted]
    if not wanted and len(files) == 1:
        return files[0]
    there = ", ".join(by_name) or "nothing"
    raise DataError(f"{folder} has {there}: say which with --split")


def _texts(path: Path) -> Iterator[Text]:
    with _open(path) as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                yield _text(line, f"{path}:{number}")


def _text(line: str, where: str) -> Text:
    try:
        item = json.loads(line)
        key, body = str(item["_id"]), str(item["text"])
    except (ValueError, KeyError, TypeError):
        raise DataError(f"{where} is not a JSON object with _id and text") from None
    title = str(item.get("title") or "").strip()
    return Text(key, f"{title} {body}".strip(), _language(item))


def _language(item: Mapping[str, Any]) -> str:
    metadata = item.get("metadata")
    for place in (item, metadata if isinstance(metadata, dict) else {}):
        for name in ("lang", "language"):
            if isinstance(place.get(name), str) and place[name]:
                return str(place[name])
    return ANY_LANGUAGE


def _about(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(f"{path}: {error}") from None
    if not isinstance(found, dict):
        raise DataError(f"{path} is not a JSON object")
    return found


def _open(path: Path) -> Any:
    try:
        return path.open(encoding="utf-8", newline="")
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}") from None
