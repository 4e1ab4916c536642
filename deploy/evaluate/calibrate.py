"""Fits the two constants that turn the embedded model's cosine into a logit.

    python -m deploy.evaluate.calibrate --pages /var/tmp/help-pages

The result is printed as JSON and copied by hand into service/worker/engines/e5/calibration.py.
How it is done, and what it gave: docs/embedded-engine.md.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deploy.evaluate import help_pages
from deploy.evaluate.help_pages import Page
from service.settings import EmbeddedSettings
from service.worker.engines.e5 import vocabulary
from service.worker.engines.e5.forward import Embeddings, Forward
from service.worker.engines.e5.pool import Pool
from service.worker.engines.e5.store import prepare
from service.worker.engines.e5.vocabulary import Ids, Vocabulary
from service.worker.engines.embedded import WIDTH, usable_cores

Floats = NDArray[np.float64]

PAGE_CHARS = 1200
BASE_RATE = 0.2
"""The share of relevant documents that the probability assumes: one in five."""

_ITERATIONS = 50
_SEED = 20_260_101


@dataclass(frozen=True, slots=True)
class Fit:
    """`logit = slope * (cosine - centre)`, and how well it separates."""

    slope: float
    centre: float
    auc: float
    log_loss: float


@dataclass(frozen=True, slots=True)
class Pairs:
    """Cosines of one (query language, page language): of the right page, and of others."""

    query_language: str
    page_language: str
    relevant: Floats
    irrelevant: Floats


def fit(relevant: Floats, irrelevant: Floats, base_rate: float = BASE_RATE) -> Fit:
    """Logistic regression with Newton's method; the classes are weighted to `base_rate`."""
    cosines = np.concatenate([relevant, irrelevant])
    labels = np.concatenate([np.ones(len(relevant)), np.zeros(len(irrelevant))])
    weights = np.where(labels == 1, base_rate / len(relevant), (1 - base_rate) / len(irrelevant))
    middle = cosines.mean()
    design = np.stack([cosines - middle, np.ones_like(cosines)], axis=1)
    theta = np.zeros(2)
    for _ in range(_ITERATIONS):
        probability = 1 / (1 + np.exp(-design @ theta))
        gradient = design.T @ (weights * (labels - probability))
        curvature = weights * probability * (1 - probability)
        hessian = (design * curvature[:, None]).T @ design + 1e-9 * np.eye(2)
        theta = theta + np.linalg.solve(hessian, gradient)
    logits = design @ theta
    loss = float(np.sum(weights * np.logaddexp(0, np.where(labels == 1, -logits, logits))))
    return Fit(
        slope=float(theta[0]),
        centre=float(middle - theta[1] / theta[0]),
        auc=auc(relevant, irrelevant),
        log_loss=loss,
    )


def auc(relevant: Floats, irrelevant: Floats) -> float:
    """How often a relevant pair is above an irrelevant one."""
    below = np.searchsorted(np.sort(irrelevant), relevant, side="left")
    ties = np.searchsorted(np.sort(irrelevant), relevant, side="right") - below
    return float((below + ties / 2).mean() / len(irrelevant))


def negatives(pages: Sequence[Page], random: np.random.Generator) -> NDArray[np.int64]:
    """For each page four others [pages, 4]: two about the same program, two about another one.

    Pages with the same heading are never taken: they say the same for two programs.
    """
    chosen = []
    for page in pages:
        others = [index for index, other in enumerate(pages) if other.heading != page.heading]
        near = [index for index in others if pages[index].module == page.module]
        far = [index for index in others if pages[index].module != page.module]
        picked = [random.choice(near or others, 2), random.choice(far or others, 2)]
        chosen.append(np.concatenate(picked))
    return np.array(chosen, dtype=np.int64)


async def embed(languages: dict[str, list[Page]]) -> dict[str, tuple[Embeddings, Embeddings]]:
    """Embeddings of headings and of pages, by language, from the engine as it runs."""
    folder = prepare(EmbeddedSettings(), lambda _: None)
    words = Vocabulary(folder / vocabulary.FILE)
    pool = Pool(Forward(folder).embed, WIDTH, usable_cores())
    found = {}
    try:
        for language, pages in languages.items():
            headings: list[Ids] = [words.query(page.heading).windows[0] for page in pages]
            texts = words.passages([page.text[:PAGE_CHARS] for page in pages], None)
            bodies = [text.windows[0] for text in texts]
            found[language] = (await pool.embed(headings), await pool.embed(bodies))
    finally:
        pool.close()
    return found


def pair_up(
    languages: dict[str, list[Page]], embedded: dict[str, tuple[Embeddings, Embeddings]]
) -> list[Pairs]:
    """Cosines for every pair of languages; the i-th page is the same one in all of them."""
    others = negatives(next(iter(languages.values())), np.random.default_rng(_SEED))
    pairs = []
    for asked, (headings, _) in embedded.items():
        for answered, (_, bodies) in embedded.items():
            cosines = (headings @ bodies.T).astype(np.float64)
            right = np.diagonal(cosines).copy()
            wrong = np.take_along_axis(cosines, others, axis=1).ravel()
            pairs.append(Pairs(asked, answered, right, wrong))
    return pairs


def summarise(pairs: Sequence[Pairs]) -> dict[str, object]:
    """The fit over all pairs, of same and of different languages, and quantiles."""
    groups = {
        "all": list(pairs),
        "same_language": [pair for pair in pairs if pair.query_language == pair.page_language],
        "cross_language": [pair for pair in pairs if pair.query_language != pair.page_language],
    }
    summary: dict[str, object] = {"base_rate": BASE_RATE}
    for name, members in groups.items():
        relevant = np.concatenate([pair.relevant for pair in members])
        irrelevant = np.concatenate([pair.irrelevant for pair in members])
        summary[name] = {
            "pairs": [len(relevant), len(irrelevant)],
            **asdict(fit(relevant, irrelevant)),
            "relevant_5_50_95": np.quantile(relevant, [0.05, 0.5, 0.95]).round(3).tolist(),
            "irrelevant_5_50_95": np.quantile(irrelevant, [0.05, 0.5, 0.95]).round(3).tolist(),
        }
    return summary


def load(folder: Path, names: Sequence[str], limit: int) -> dict[str, list[Page]]:
    """The same pages in every language, at most `limit`, drawn with a fixed seed."""
    read = {name: help_pages.load(folder, name) for name in names}
    common = sorted(set.intersection(*(set(pages) for pages in read.values())))
    drawn = np.random.default_rng(_SEED).permutation(len(common))[:limit]
    return {name: [pages[common[index]] for index in drawn] for name, pages in read.items()}


def main() -> None:
    """Read the arguments, download what is missing, print the fit."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--pages", type=Path, required=True, help="folder for the help pages")
    parser.add_argument("--languages", default="en,de,es,ja,ru,tr,zh")
    parser.add_argument("--limit", type=int, default=150, help="pages per language")
    arguments = parser.parse_args()
    names = arguments.languages.split(",")
    help_pages.download(arguments.pages, names)
    languages = load(arguments.pages, names, arguments.limit)
    pairs = pair_up(languages, asyncio.run(embed(languages)))
    print(json.dumps(summarise(pairs), indent=1))


if __name__ == "__main__":
    main()
