"""From what a person typed to what a run needs: endpoints, keys, data set, baseline."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from deploy.evaluate import beir
from deploy.evaluate.builders import source
from deploy.evaluate.crossencoder import PREFIX
from deploy.evaluate.dataset import DataError, Dataset
from deploy.evaluate.embedding import EMBEDDING
from deploy.evaluate.endpoint import Target, parse_target, read_key
from deploy.evaluate.session import BM25

_SHOWN = 30
KEY_VARIABLE = "RANKGUARD_API_KEY"
"""Sent to the first endpoint only; the others' keys come from files."""


def dataset(name: str, split: str, qrels: Path | None) -> Dataset:
    """A data set by name or folder, with other judgements where a file is given.

    Raises:
        DataError: it cannot be read.
    """
    found = source.load(name, split=split)
    return found if qrels is None else replace(found, judgements=beir.read_qrels(qrels))


def keys(given: Sequence[str]) -> dict[str, str]:
    """`NAME=FILE` to the key in the file, by system name.

    Raises:
        DataError: no `=`.
        EndpointError: the file cannot be read.
    """
    found = {}
    for each in given:
        name, mark, file = each.partition("=")
        if not mark:
            raise DataError(f"--key-file is NAME=FILE, not {each!r}")
        found[name] = read_key(Path(file))
    return found


def targets(
    first: str,
    more: Sequence[str],
    *,
    model: str,
    instructions: Sequence[str],
    keys: Mapping[str, str],
    elsewhere: bool,
) -> tuple[Target | str, ...]:
    """The systems of a run.

    Args:
        first: the endpoint under test; its name is `rankguard` when none is given.
        more: `bm25`, `embedding`, `folder:PATH` or endpoints.
        instructions: the first is sent to all; for each further one the endpoint under test is a
            system of its own, so that instructions can be compared.
        elsewhere: endpoints may be on other hosts.

    Raises:
        DataError: an endpoint is on another host and that was not said to be wanted.
        EndpointError: no URL.
    """
    ours = parse_target(first if "=" in first.partition("://")[0] else f"rankguard={first}")
    ours = replace(ours, model=model, key=os.environ.get(KEY_VARIABLE, ""))
    first_instruction = instructions[0] if instructions else ""
    found: list[Target | str] = [replace(ours, instruction=first_instruction)]
    found += [
        replace(ours, name=f"{ours.name} [{each[:_SHOWN]}]", instruction=each)
        for each in instructions[1:]
    ]
    found += [
        each
        if each == BM25 or each.startswith(PREFIX)
        else replace(_further(each, ours), instruction=first_instruction)
        for each in more
    ]
    return tuple(
        each if isinstance(each, str) else _checked(each, keys, elsewhere=elsewhere)
        for each in found
    )


def _further(text: str, ours: Target) -> Target:
    """Another endpoint, or our own one's embeddings where the word is all that is said."""
    if text == EMBEDDING.name:
        return replace(ours, name=EMBEDDING.name, dialect=EMBEDDING)
    return parse_target(text, more=(EMBEDDING,))


def _checked(target: Target, keys: Mapping[str, str], *, elsewhere: bool) -> Target:
    if not target.is_loopback and not elsewhere:
        raise DataError(f"{target.url} is on another host; --yes-this-host allows it")
    return replace(target, key=keys.get(target.name, target.key))


def baseline(path: Path) -> dict[str, object]:
    """An earlier result.

    Raises:
        DataError: the file cannot be read or is not a JSON object.
    """
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: {error}") from None
    if not isinstance(kept, dict):
        raise DataError(f"{path} is not a result of rankguard eval")
    return kept
