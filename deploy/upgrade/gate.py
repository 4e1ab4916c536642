"""The trial of a new version: what is asked of the shadow and of a running replica, in order."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from deploy.evaluate.dataset import DataError
from deploy.evaluate.endpoint import EndpointError
from deploy.upgrade.asking import AskError, Worker
from deploy.upgrade.parity import Answer, Parity, Question, compare
from deploy.upgrade.shadow import Shadow, ShadowError
from deploy.upgrade.verdict import Canary, Evidence, Quality, Version
from monitor.model import CanaryOutcome, CanaryResult
from monitor.probes.canary import CanaryLimits, CanaryMode, judge
from monitor.probes.http import HttpProber
from service.manifest import Manifest

RECORDED = "recorded.jsonl"
"""What the running replica answered, in the version's folder."""

Tell = Callable[[str], None]


class GateError(Exception):
    """The trial could not be made: neither version is to blame, or not yet; says why."""


@dataclass(frozen=True, slots=True)
class Trial:
    """What is asked.

    Attributes:
        canary: as the watchdog is set; its values are asked for here even where it asks for none.
        quality: a data set's name or folder; empty: none. queries: of it, per language pair.
    """

    questions: Sequence[Question]
    canary: CanaryMode
    canary_timeout_s: float
    limit_s: float
    quality: str = ""
    queries: int | None = None


def try_out(
    shadow: Shadow, old: Manifest | None, trial: Trial, folder: Path, tell: Tell
) -> Evidence:
    """Start the shadow's waiting, ask both, and say what was seen.

    Raises:
        GateError: a running replica could not be asked, or a data set not be used.
    """
    was = None if old is None else version_of(old)
    began = time.monotonic()
    try:
        manifest = shadow.wait_ready(trial.limit_s, tell)
    except ShadowError as error:
        return Evidence(was, start_error=str(error))
    load_s = time.monotonic() - began
    evidence = Evidence(was, version_of(manifest), load_s)
    tell("canary")
    canary = _canary(manifest, trial)
    evidence = Evidence(was, evidence.new, load_s, canary=canary)
    if not canary.passed:
        return evidence
    new = Worker("the new version", manifest.url, manifest.model)
    before = None if old is None else Worker(old.id, old.url, old.model)
    if before is not None:
        parity = _parity(before, new, trial.questions, folder, tell)
        if isinstance(parity, str):
            return replace(evidence, broken=parity)
        evidence = replace(evidence, parity=parity)
    found = _quality(before, new, trial, tell) if trial.quality else None
    return replace(evidence, quality=found)


def version_of(manifest: Manifest) -> Version:
    """By the worker's own word."""
    return Version(manifest.engine, manifest.model, manifest.fingerprint)


def _canary(manifest: Manifest, trial: Trial) -> Canary:
    """Twice: the second run is held against the first, as against a baseline."""
    prober = HttpProber(trial.canary_timeout_s)
    mode: CanaryMode = "order" if trial.canary == "off" else trial.canary
    try:
        first = judge(prober.canary(manifest.url, 1), None, CanaryLimits(mode))
        if first.outcome is not CanaryOutcome.PASSED:
            return Canary(False, _words(first))
        second = judge(prober.canary(manifest.url, 1), None, CanaryLimits(mode))
        if second.outcome is not CanaryOutcome.PASSED:
            return Canary(False, f"at the second time: {_words(second)}")
    finally:
        prober.close()
    drift = max(
        abs(a - b)
        for name, before in first.logits.items()
        for a, b in zip(before, second.logits.get(name, ()), strict=True)
    )
    return Canary(True, "right order" if mode == "order" else "told apart", drift)


def _words(result: CanaryResult) -> str:
    return f"{result.reason.value}: {result.detail}" if result.detail else result.outcome.value


def _parity(
    old: Worker, new: Worker, questions: Sequence[Question], folder: Path, tell: Tell
) -> Parity | str:
    """Both in turn, question by question, so that both see the machine in the same state.

    A new version that does not answer is an answer too: what it said.
    """
    before: list[Answer] = []
    after: list[Answer] = []
    # the first one twice: a first answer may compile something
    for number, question in enumerate([questions[0], *questions]):
        tell(f"parity: {number} of {len(questions)} questions")
        try:
            before.append(old.ask(question.query, question.documents))
        except AskError as error:
            raise GateError(str(error)) from None
        try:
            after.append(new.ask(question.query, question.documents))
        except AskError as error:
            return str(error)
    before, after = before[1:], after[1:]
    _record(folder / RECORDED, questions, before)
    return compare(questions, before, after)


def _record(path: Path, questions: Sequence[Question], answers: Sequence[Answer]) -> None:
    with path.open("w", encoding="utf-8") as file:
        for question, answer in zip(questions, answers, strict=True):
            line = {
                "query": question.query,
                "documents": list(question.documents),
                "best": question.best,
                "logits": list(answer.logits),
            }
            file.write(json.dumps(line, ensure_ascii=False) + "\n")


def _quality(old: Worker | None, new: Worker, trial: Trial, tell: Tell) -> Quality:
    from deploy.upgrade import quality  # noqa: PLC0415 - scipy and friends, for this alone

    try:
        return quality.measure(trial.quality, old, new, queries=trial.queries, tell=tell)
    except (DataError, EndpointError) as error:
        raise GateError(f"quality: {error}") from None
