"""Part 1: the collector beside `nvidia-smi`, field by field, at the same moment."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from deploy.gpu import fields, smi
from deploy.gpu.card import open_collector
from deploy.gpu.fields import BAD, Compared, Match
from deploy.gpu.part import Cells, Failed, Part, Skip, State, Value
from monitor.gpu import Field, GpuRound
from monitor.model import Unavailable

NAME = "readings"
TRIES = 3
"""A reading that differs is looked at again: at the next look both may see the same moment."""


def run(ask: Callable[[Sequence[str]], smi.Printed] = smi.ask) -> Part:
    """Compare every field of every card.

    Raises:
        Skip: no driver or no `nvidia-smi`. Failed: a field differs at every look, or is lacking.
    """
    collector, first = open_collector()
    try:
        found = [_look(collector.read, ask)]
        while len(found) < TRIES and any(one.match in BAD for one in _flat(found[-1][1])):
            found.append(_look(collector.read, ask))
    finally:
        collector.close()
    last, _ = found[-1]
    lacking = _lacking(first)
    compared = _best([cards for _, cards in found])
    rows = {
        # numbered: a UUID names this host's card
        "fields": [
            _row(at, one, lacking.get((uuid, one.row.field), ""))
            for at, (uuid, each) in enumerate(compared.items())
            for one in each
        ],
        "tolerances": [_tolerance(row) for row in fields.ROWS],
    }
    counts = {
        match.name.lower(): sum(one.match is match for one in _flat(compared)) for match in Match
    }
    numbers: dict[str, Value] = {
        "cards": len(compared),
        "looks": len(found),
        "driver": last.driver,
        "unknown_keys": ", ".join(last.unknown),
        "nvidia_smi_took_s": round(last.ended - last.began, 3),
        "not_supported": ", ".join(sorted({field.value for _, field in lacking})),
        **counts,
    }
    _judge(compared, numbers, rows)
    return Part(NAME, State.PASSED, "", numbers, rows)


def _judge(
    compared: Mapping[str, list[Compared]],
    numbers: Cells,
    rows: Mapping[str, Sequence[Cells]],
) -> None:
    """Raises Failed when a reading differs or is lacking."""
    if not compared:
        raise Failed("nvidia-smi and the collector have no card in common", numbers, rows)
    bad = [f"{one.row.field.value}: {_words(one)}" for one in _flat(compared) if one.match in BAD]
    if bad:
        raise Failed("; ".join(bad[:5]), numbers, rows)


def _look(
    read: Callable[[], GpuRound], ask: Callable[[Sequence[str]], smi.Printed]
) -> tuple[smi.Printed, dict[str, list[Compared]]]:
    """Ours, theirs, ours: what moves lies between."""
    before = {sample.card.uuid: sample for sample in read().cards}
    try:
        printed = ask(fields.query_keys())
    except smi.SmiFailed as error:
        raise Skip(str(error)) from error
    after = {sample.card.uuid: sample for sample in read().cards}
    return printed, {
        uuid: fields.compare(before[uuid], texts, after[uuid])
        for uuid, texts in printed.texts.items()
        if uuid in before and uuid in after
    }


def _best(looks: Sequence[Mapping[str, list[Compared]]]) -> dict[str, list[Compared]]:
    """Of each field the first look at which it agreed, else the last."""
    best = {uuid: list(each) for uuid, each in looks[-1].items()}
    for uuid, each in best.items():
        for at in range(len(each)):
            good = [look[uuid][at] for look in looks if uuid in look]
            each[at] = next((one for one in good if one.match not in BAD), each[at])
    return best


def _lacking(first: GpuRound) -> dict[tuple[str, Field], str]:
    """Why a card has no such reading."""
    return {
        (sample.card.uuid, field): reading.why.value
        for sample in first.cards
        for field, reading in sample.values.items()
        if isinstance(reading, Unavailable)
    }


def _flat(compared: Mapping[str, list[Compared]]) -> list[Compared]:
    return [one for each in compared.values() for one in each]


def _words(one: Compared) -> str:
    return f"ours {one.before} and {one.after}, theirs {one.theirs} ({one.match.value})"


def _row(card: int, one: Compared, lacking: str) -> Cells:
    return {
        "card": card,
        "field": one.row.field.value,
        "key": one.key,
        "match": one.match.value,
        "before": one.before,
        "theirs": one.theirs,
        "after": one.after,
        "lacking": lacking,
    }


def _tolerance(row: fields.Row) -> Cells:
    return {
        "field": row.field.value,
        "nvidia_smi": " or ".join(row.keys),
        "unit": row.unit,
        "absolute": row.absolute,
        "relative": row.relative,
        "why": row.why if row.keys else "not printed by nvidia-smi",
    }
