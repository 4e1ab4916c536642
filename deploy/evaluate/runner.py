"""Asking every system about every topic, a few at a time, going on where an earlier run stopped."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

from deploy.evaluate.dataset import Topic
from deploy.evaluate.folder import Answer, RunFolder
from deploy.evaluate.system import System

Answers = dict[tuple[str, str], Answer]
"""(system name, topic key) -> its answer."""


async def collect(
    systems: Sequence[System],
    topics: Sequence[Topic],
    *,
    folder: RunFolder | None,
    concurrency: int,
    done: Callable[[Answer], None],
) -> Answers:
    """Every system's answer to every topic.

    Args:
        folder: answers in it are taken, new ones are added; None keeps nothing.
        concurrency: requests under way at once.
        done: called with each answer, kept ones included.

    Raises:
        EndpointError: an endpoint failed for good; what was answered is in the folder.
    """
    wanted = {(system.name, topic.key) for system in systems for topic in topics}
    answers: Answers = {}
    for kept in folder.read() if folder is not None else ():
        key = (kept.system, kept.topic)
        if key in wanted and key not in answers:
            answers[key] = kept
            done(kept)
    # topic by topic, so that all systems see the machine in the same state
    waiting = [
        (system, topic)
        for topic in topics
        for system in systems
        if (system.name, topic.key) not in answers
    ]
    waiting.reverse()

    async def work() -> None:
        while waiting:
            system, topic = waiting.pop()
            answer = await _ask(system, topic)
            if folder is not None:
                folder.add(answer)
            answers[system.name, topic.key] = answer
            done(answer)

    tasks = [asyncio.ensure_future(work()) for _ in range(concurrency)]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return answers


async def _ask(system: System, topic: Topic) -> Answer:
    start = time.perf_counter()
    ranked = await system.rank(topic)
    took_s = time.perf_counter() - start
    return Answer(
        system=system.name,
        topic=topic.key,
        documents=tuple(topic.documents[index].id for index in ranked.order),
        scores=tuple(ranked.scores[index] for index in ranked.order),
        took_s=took_s,
        tokens=ranked.tokens,
        truncated=ranked.truncated,
    )
