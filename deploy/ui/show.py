"""PURE: rows as HTML. Every text that comes from outside is escaped here, and only here."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from deploy.ui.answer import Answer, Row, Timing
from deploy.ui.words import Words

MOST_ROWS = 100
"""A browser draws that many at once; the API gives all."""

LONGEST_TEXT = 1500
"""Characters of one document that are shown."""


def order(answer: Answer, words: Words, title: str = "") -> str:
    """One ordered list with bars, movement, marks and timing."""
    heading = f"<h3 class='rg-side'>{escape(title)}</h3>" if title else ""
    shown = answer.rows[:MOST_ROWS]
    rows = "".join(_row(row, words) for row in shown)
    rest = len(answer.rows) - len(shown)
    more = f"<p class='rg-note'>{escape(words.more_rows.format(count=rest))}</p>" if rest else ""
    notes = "".join(f"<p class='rg-note'>{escape(text)}</p>" for text in answer.warnings)
    return (
        f"<section class='rg-order'>{heading}{_facts(answer, words)}"
        f"<ol class='rg-rows'>{rows}</ol>{more}{notes}</section>"
    )


def side_by_side(first: str, second: str) -> str:
    """Two ordered lists; one above the other where the screen is narrow."""
    return f"<div class='rg-pair'>{first}{second}</div>"


def trouble(text: str) -> str:
    """A sentence about what went wrong."""
    return f"<p class='rg-trouble' role='alert'>{escape(text)}</p>"


def hint(text: str) -> str:
    return f"<p class='rg-hint'>{escape(text)}</p>"


def _row(row: Row, words: Words) -> str:
    width = max(0.0, min(1.0, row.score)) * 100
    best = " rg-best" if row.rank == 1 and not row.error else ""
    score = "–" if row.error else f"{row.score:.4f}"
    marks = [_movement(row, words)]
    if row.truncated:
        marks.append(f"<span class='rg-mark rg-cut'>✂ {escape(words.truncated)}</span>")
    if row.error:
        marks.append(f"<span class='rg-mark rg-bad'>{escape(row.error)}</span>")
    return (
        f"<li class='rg-row{best}'><span class='rg-rank'>{row.rank}</span>"
        f"<div class='rg-body'><div class='rg-line'>"
        f"<span class='rg-bar' aria-hidden='true'><i style='width:{width:.1f}%'></i></span>"
        f"<span class='rg-score'>{score}</span>{''.join(marks)}</div>"
        f"<p class='rg-text' dir='auto'>{_text(row)}</p></div></li>"
    )


def _movement(row: Row, words: Words) -> str:
    if row.moved == 0:
        return f"<span class='rg-mark rg-same'>{escape(words.same_place)}</span>"
    arrow, kind = ("▲", "up") if row.moved > 0 else ("▼", "down")
    was = escape(words.was.format(place=row.before))
    return f"<span class='rg-mark rg-{kind}'>{arrow}{abs(row.moved)} <small>{was}</small></span>"


def _text(row: Row) -> str:
    """The beginning of the text, or its best window, which is marked."""
    begin, end = row.span or (0, 0)
    if not 0 <= begin < end <= len(row.text) or end - begin == len(row.text):
        cut = row.text[:LONGEST_TEXT]
        return _escaped(cut) + ("…" if len(cut) < len(row.text) else "")
    lead = max(0, begin - LONGEST_TEXT // 10)
    window = row.text[begin : min(end, begin + LONGEST_TEXT)]
    tail = row.text[begin + len(window) : begin + len(window) + LONGEST_TEXT // 10]
    return (
        ("…" if lead else "")
        + _escaped(row.text[lead:begin])
        + f"<mark>{_escaped(window)}</mark>"
        + _escaped(tail)
        + ("…" if begin + len(window) + len(tail) < len(row.text) else "")
    )


def _escaped(text: str) -> str:
    """Escaped for HTML, and for the template of the component that shows it."""
    return escape(text).replace("{", "&#123;").replace("}", "&#125;").replace("$", "&#36;")


def _facts(answer: Answer, words: Words) -> str:
    facts = [
        ("", answer.model),
        (words.tokens, f"{answer.tokens:,}"),
        *_times(answer.timing, words),
    ]
    items = "".join(
        f"<span>{f'<b>{escape(name)}</b> ' if name else ''}{escape(value)}</span>"
        for name, value in facts
        if value
    )
    return f"<p class='rg-facts'>{items}</p>"


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
