"""PURE: what `/v1/search` answered, as rows to show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from deploy.ui.answer import BadAnswer, Row, as_mapping, as_whole

LONGEST_PASSAGE = 320
"""Characters of a passage that are shown."""

STAGES = ("embed", "recall", "rerank", "total")


@dataclass(frozen=True, slots=True)
class Findings:
    """Passages, best first, and how they were found.

    Attributes:
        models: what embedded the query and what reranked; one name where both are one model.
        candidates: how many passages the first stage found.
        times_ms: of each stage that there was.
        why: the service's own sentence on the stages, in English.
        reranked: there was a second stage, so that movement means something.
    """

    rows: tuple[Row, ...]
    models: tuple[str, ...]
    candidates: int
    times_ms: Mapping[str, float]
    why: str
    reranked: bool


def read_findings(body: object) -> Findings:
    """An answer of `/v1/search`.

    Raises:
        BadAnswer: it has another shape.
    """
    try:
        whole = as_mapping(body)
        results, meta = whole["results"], as_mapping(whole["meta"])
        if not isinstance(results, list):
            raise BadAnswer("results is no list")
        times = as_mapping(meta["times_ms"])
        names = (str(meta.get("recall_model") or ""), str(meta.get("rerank_model") or ""))
        return Findings(
            rows=tuple(_row(as_mapping(item)) for item in results),
            models=tuple(dict.fromkeys(filter(None, names))),
            candidates=as_whole(meta["candidates"]),
            times_ms={
                name: float(str(times[name])) for name in STAGES if times.get(name) is not None
            },
            why=str(meta.get("why") or ""),
            reranked=meta.get("rerank") is True,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise BadAnswer(f"not an answer of /v1/search: {error}") from None


def _short(text: str) -> str:
    """A passage as a glance: its source says where the whole is."""
    words = " ".join(text.split())
    return words if len(words) <= LONGEST_PASSAGE else words[: LONGEST_PASSAGE - 1] + "…"


def _row(item: Mapping[str, object]) -> Row:
    score = item.get("relevance_score")
    title, source = str(item.get("title") or ""), str(item["source"])
    return Row(
        rank=as_whole(item["rank"]),
        before=as_whole(item["recall_rank"]),
        score=None if score is None else float(str(score)),
        text=_short(str(item["text"])),
        title=f"{title} · {source}" if title else source,
    )
