"""The run folder: what was answered so far, one line per query, so that a run can go on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.evaluate.dataset import DataError


@dataclass(frozen=True, slots=True)
class Answer:
    """One system's order of one topic's documents, best first.

    Attributes:
        took_s: from the request to its answer.
    """

    system: str
    topic: str
    documents: tuple[str, ...]
    scores: tuple[float, ...]
    took_s: float
    tokens: int | None = None
    truncated: int = 0

    def to_json(self) -> dict[str, Any]:
        return {
            "system": self.system,
            "topic": self.topic,
            "ranking": [list(each) for each in zip(self.documents, self.scores, strict=True)],
            "took_s": round(self.took_s, 6),
            "tokens": self.tokens,
            "truncated": self.truncated,
        }

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Answer:
        return cls(
            system=str(body["system"]),
            topic=str(body["topic"]),
            documents=tuple(str(each[0]) for each in body["ranking"]),
            scores=tuple(float(each[1]) for each in body["ranking"]),
            took_s=float(body["took_s"]),
            tokens=body["tokens"],
            truncated=int(body["truncated"]),
        )


class RunFolder:
    """`plan.json` says what the run is; `answers.jsonl` grows by a line per answer."""

    def __init__(self, folder: Path, plan: Mapping[str, Any]) -> None:
        """Open a folder, new or of the same run.

        Raises:
            DataError: it holds another run, or cannot be written.
        """
        self.path = folder
        self._answers = folder / "answers.jsonl"
        text = json.dumps(plan, ensure_ascii=False, indent=1, sort_keys=True)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            kept = folder / "plan.json"
            if kept.exists() and kept.read_text(encoding="utf-8") != text:
                raise DataError(
                    f"{folder} holds another run (its plan.json differs): choose another folder "
                    "or remove it"
                )
            kept.write_text(text, encoding="utf-8")
            self._mend()
        except OSError as error:
            raise DataError(f"{folder}: {error.strerror}") from None

    def read(self) -> list[Answer]:
        """The answers so far; a last line that a kill cut short is left out."""
        if not self._answers.exists():
            return []
        answers = []
        for line in self._answers.read_text(encoding="utf-8").splitlines():
            try:
                answers.append(Answer.from_json(json.loads(line)))
            except (ValueError, KeyError, TypeError, IndexError):
                continue
        return answers

    def add(self, answer: Answer) -> None:
        line = json.dumps(answer.to_json(), ensure_ascii=False)
        with self._answers.open("a", encoding="utf-8") as file:
            file.write(f"{line}\n")

    def _mend(self) -> None:
        """End a line that a kill cut short, so that the next one is whole."""
        if self._answers.exists() and not self._answers.read_bytes().endswith(b"\n"):
            with self._answers.open("a", encoding="utf-8") as file:
                file.write("\n")
