"""PURE: rows as HTML. Every text that comes from outside is escaped here, and only here."""

from __future__ import annotations

import html
from collections.abc import Sequence

from deploy.ui.answer import Answer, Row, Timing
from deploy.ui.findings import STAGES, Findings
from deploy.ui.words import Words

MOST_ROWS = 100
"""A browser draws that many at once; the API gives all."""

LONGEST_TEXT = 600
"""Characters of one document that are shown."""


def order(answer: Answer, words: Words, title: str = "", was: str = "") -> str:
    """One ordered list with bars, movement, marks and timing.

    Args:
        was: how to say the place before, with `{place}`; empty: the place in the request.
    """
    heading = f"<h2 class='rg-side'>{safe(title)}</h2>" if title else ""
    rest = len(answer.rows) - MOST_ROWS
    more = f"<p class='rg-note'>{safe(words.more_rows.format(count=rest))}</p>" if rest > 0 else ""
    notes = "".join(f"<p class='rg-note'>{safe(text)}</p>" for text in answer.warnings)
    return (
        f"<section class='rg-order'>{heading}{_facts(answer, words)}"
        f"{_rows(answer.rows, words, was or words.was)}{more}{notes}</section>"
    )


def found(findings: Findings, words: Words) -> str:
    """What a search found: passages with their source, and each stage's time."""
    if not findings.rows:
        return hint(words.search_empty)
    rows = _rows(findings.rows, words, words.was_recalled if findings.reranked else "")
    names = dict(zip(STAGES, words.stages, strict=True))
    facts = [
        ("", " + ".join(findings.models)),
        (words.candidates, str(findings.candidates)),
        *((names[name], _ms(ms)) for name, ms in findings.times_ms.items()),
    ]
    why = f"<p class='rg-note'>{safe(findings.why)}</p>" if findings.why else ""
    return f"<section class='rg-order'>{_list(facts)}{rows}{why}</section>"


def side_by_side(first: str, second: str) -> str:
    """Two ordered lists; one above the other where the screen is narrow."""
    return f"<div class='rg-pair'>{first}{second}</div>"


def trouble(text: str) -> str:
    """A sentence about what went wrong."""
    return f"<p class='rg-trouble' role='alert'>{safe(text)}</p>"


def hint(text: str) -> str:
    return f"<p class='rg-hint'>{safe(text)}</p>"


def head(words: Words, status: str = "", notice: str = "") -> str:
    """The page's head: its name, the other language, and who answers."""
    more = ""
    if notice:
        more = f"<details><summary>{safe(status)}</summary>{safe(notice)}</details>"
    elif status:
        more = f"<p>{safe(status)}</p>"
    return (
        f"<header class='rg-head'><h1>rankguard</h1><p>{safe(words.lead)}</p>"
        f"<a href='../{words.other}/' hreflang='{words.other}' lang='{words.other}'>"
        f"{safe(words.other_name)}</a></header><div class='rg-status'>{more}</div>"
    )


def _rows(rows: Sequence[Row], words: Words, was: str) -> str:
    # counted anew: a search may leave out passages between two that it shows
    shown = enumerate(rows[:MOST_ROWS], start=1)
    return f"<ol class='rg-rows'>{''.join(_row(n, row, words, was) for n, row in shown)}</ol>"


def _row(number: int, row: Row, words: Words, was: str) -> str:
    best = " rg-best" if number == 1 and not row.error else ""
    marks = [_bar(row), _movement(row, words, was) if was else ""]
    if row.truncated:
        marks.append(f"<span class='rg-mark rg-cut'>✂ {safe(words.truncated)}</span>")
    if row.error:
        marks.append(f"<span class='rg-mark rg-bad'>{safe(row.error)}</span>")
    title = f"<p class='rg-title' dir='auto'>{safe(row.title)}</p>" if row.title else ""
    return (
        f"<li class='rg-row{best}'><span class='rg-rank'>{number}</span>"
        f"<div class='rg-body'><div class='rg-line'>{''.join(marks)}</div>"
        f"{title}<p class='rg-text' dir='auto'>{_text(row)}</p></div></li>"
    )


def _bar(row: Row) -> str:
    if row.score is None:
        return ""
    width = max(0.0, min(1.0, row.score)) * 100
    score = "–" if row.error else f"{row.score:.4f}"
    return (
        f"<span class='rg-bar' aria-hidden='true'><i style='width:{width:.1f}%'></i></span>"
        f"<span class='rg-score'>{score}</span>"
    )


def _movement(row: Row, words: Words, was: str) -> str:
    if row.moved == 0:
        return f"<span class='rg-mark rg-same'>{safe(words.same_place)}</span>"
    arrow, kind = ("▲", "up") if row.moved > 0 else ("▼", "down")
    place = safe(was.format(place=row.before))
    by = f"<span aria-hidden='true'>{arrow}{abs(row.moved)}</span>"
    return f"<span class='rg-mark rg-{kind}'>{by} <small>{place}</small></span>"


def _text(row: Row) -> str:
    """The beginning of the text, or its best window, which is marked."""
    begin, end = row.span or (0, 0)
    if not 0 <= begin < end <= len(row.text) or end - begin == len(row.text):
        cut = row.text[:LONGEST_TEXT]
        return safe(cut) + ("…" if len(cut) < len(row.text) else "")
    lead = max(0, begin - LONGEST_TEXT // 10)
    window = row.text[begin : min(end, begin + LONGEST_TEXT)]
    tail = row.text[begin + len(window) : begin + len(window) + LONGEST_TEXT // 10]
    return (
        ("…" if lead else "")
        + safe(row.text[lead:begin])
        + f"<mark>{safe(window)}</mark>"
        + safe(tail)
        + ("…" if begin + len(window) + len(tail) < len(row.text) else "")
    )


def safe(text: str) -> str:
    """Escaped for HTML, and for the template of the component that shows it."""
    return html.escape(text).replace("{", "&#123;").replace("}", "&#125;").replace("$", "&#36;")


def _facts(answer: Answer, words: Words) -> str:
    facts = [
        ("", answer.model),
        (words.tokens, f"{answer.tokens:,}"),
        *_times(answer.timing, words),
    ]
    return _list(facts)


def _list(facts: Sequence[tuple[str, str]]) -> str:
    items = "".join(
        f"<span>{f'<b>{safe(name)}</b> ' if name else ''}{safe(value)}</span>"
        for name, value in facts
        if value
    )
    return f"<p class='rg-facts' role='status'>{items}</p>"


def _times(timing: Timing, words: Words) -> Sequence[tuple[str, str]]:
    found = [
        (name, _ms(value))
        for name, value in (
            (words.queue, timing.queue_ms),
            (words.score, timing.score_ms),
            (words.whole, timing.whole_ms),
        )
        if value is not None
    ]
    if timing.replicas == 0:
        return [*found, ("", words.cached)]
    return [*found, (words.replicas, "" if timing.replicas is None else str(timing.replicas))]


def _ms(value: float) -> str:
    return f"{value:.1f} ms" if value < 10 else f"{value:,.0f} ms"
