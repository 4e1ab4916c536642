"""What is indexed and found: a passage of a source. PURE."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True)
class Passage:
    """A part of a source, as long as an embedding model reads well.

    Attributes:
        folder: the folder that was indexed, as an absolute path; never shown to a caller of the
            API.
        source: the file's path in that folder, for a record of a JSONL file with `#` and its id.
        place: the passage's number in its source, from 0.
        title: the source's title and the headings above the passage.
        digest: of the whole source and of how it was cut; an equal one need not be indexed again.
    """

    folder: str
    source: str
    place: int
    title: str
    text: str
    digest: str

    @property
    def id(self) -> str:
        """A UUID, which every store takes as a key: the same passage has the same one again."""
        name = "\0".join((self.folder, self.source, str(self.place)))
        return str(uuid.UUID(bytes=hashlib.sha256(name.encode("utf-8")).digest()[:16]))

    def fields(self) -> dict[str, str | int]:
        """As a store keeps it, by the names in `FIELDS`."""
        return {name: getattr(self, name) for name in FIELDS}

    @property
    def whole(self) -> str:
        """What is embedded, matched and reranked: the text under its title."""
        return f"{self.title}\n\n{self.text}" if self.title else self.text


FIELDS = tuple(field.name for field in fields(Passage))


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage that a first stage found; a higher score is better, within that stage only."""

    passage: Passage
    score: float


@dataclass(frozen=True, slots=True)
class Mark:
    """What an index knows of one of its passages without its text."""

    source: str
    place: int
    digest: str


def complete(marks: Iterable[Mark]) -> dict[str, str]:
    """Sources in an index and their digests; an empty one where a source is there only in part.

    The first passage of a source is written last, so that it says: the whole source is there.
    """
    found: dict[str, str] = {}
    for mark in marks:
        if mark.place == 0:
            found[mark.source] = mark.digest
        else:
            found.setdefault(mark.source, "")
    return found
