"""Fits the two constants that turn the embedded model's cosine into a logit.

    python -m deploy.evaluate.calibrate --pages /var/tmp/help-pages

The result is printed as JSON and copied by hand into service/worker/engines/e5/calibration.py.
How it is done, and what it gave: docs/embedded-engine.md.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deploy.evaluate import help_pages, shipped
from deploy.evaluate.dataset import Text
from service.settings import EmbeddedSettings
from service.worker.engines.e5 import vocabulary
from service.worker.engines.e5.forward import Embeddings, Forward
from service.worker.engines.e5.pool import Pool
from service.worker.engines.e5.store import prepare
from service.worker.engines.e5.vocabulary import Ids, Vocabulary
from service.worker.engines.embedded import WIDTH, usable_cores

Floats = NDArray[np.float64]

LANGUAGES = ("en", "de", "es", "fr", "ja", "ru", "zh")
"""Those in which there are both help pages and questions on the declaration."""

_TAGS = {"zh": "zh-Hans"}
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
class Source:
    """Queries and the documents that answer them, by language, in the same order everywhere."""

    name: str
    queries: dict[str, list[str]]
    documents: dict[str, list[str]]


@dataclass(frozen=True, slots=True)
class Embedded:
    """A source's texts as vectors [texts, 384], by language."""

    name: str
    queries: dict[str, Embeddings]
    documents: dict[str, Embeddings]


@dataclass(frozen=True, slots=True)
class Pairs:
    """Cosines of one source and pair of languages: of the right document, and of others."""

    source: str
    query_language: str
    document_language: str
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


async def embed(sources: Sequence[Source]) -> list[Embedded]:
    """Embed every text with the engine as it runs."""
    folder = prepare(EmbeddedSettings(), lambda _: None)
    words = Vocabulary(folder / vocabulary.FILE)
    pool = Pool(Forward(folder).embed, WIDTH, usable_cores())

    def asked(texts: list[str]) -> list[Ids]:
        return [words.query(text).windows[0] for text in texts]

    def answered(texts: list[str]) -> list[Ids]:
        return [text.windows[0] for text in words.passages(texts, None)]

    try:
        return [
            Embedded(
                source.name,
                {lang: await pool.embed(asked(texts)) for lang, texts in source.queries.items()},
                {
                    lang: await pool.embed(answered(texts))
                    for lang, texts in source.documents.items()
                },
            )
            for source in sources
        ]
    finally:
        pool.close()


def pair_up(sources: Sequence[Embedded]) -> list[Pairs]:
    """Cosines for every source and pair of languages.

    To each query and its answer come four documents in the answer's language: two of the same
    source, so about the same matter, and two of another source.
    """
    random = np.random.default_rng(_SEED)
    pairs = []
    for source, other in zip(sources, [*sources[1:], sources[0]], strict=True):
        for asked, queries in source.queries.items():
            for answered, documents in source.documents.items():
                inside = (queries @ documents.T).astype(np.float64)
                outside = (queries @ other.documents[answered].T).astype(np.float64)
                right = np.diagonal(inside).copy()
                near = [random.choice(np.delete(row, i), 2) for i, row in enumerate(inside)]
                far = [random.choice(row, 2) for row in outside]
                wrong = np.concatenate([*near, *far])
                pairs.append(Pairs(source.name, asked, answered, right, wrong))
    return pairs


def summarise(pairs: Sequence[Pairs]) -> dict[str, object]:
    """The fit over all pairs, of same and of different languages, and quantiles."""
    groups = {
        "all": list(pairs),
        "same_language": [pair for pair in pairs if pair.query_language == pair.document_language],
        "cross_language": [pair for pair in pairs if pair.query_language != pair.document_language],
    }
    for pair in pairs:
        groups.setdefault(pair.source, []).append(pair)
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


def declaration(languages: Sequence[str]) -> Source:
    """Our own questions on the articles of the Universal Declaration of Human Rights."""
    data = shipped.load()

    def texts(found: Iterable[Text], language: str) -> list[str]:
        own = sorted((text for text in found if text.lang == language), key=lambda text: text.id)
        return [text.text for text in own]

    return Source(
        "declaration",
        {name: texts(data.queries.values(), _TAGS.get(name, name)) for name in languages},
        {name: texts(data.documents.values(), _TAGS.get(name, name)) for name in languages},
    )


def help_texts(folder: Path, languages: Sequence[str], limit: int) -> Source:
    """Headings and pages of LibreOffice Help, at most `limit`, drawn with a fixed seed.

    Of pages with the same heading, which say the same for two programs, one is taken.
    """
    read = {name: help_pages.load(folder, name) for name in languages}
    shared = set.intersection(*(set(pages) for pages in read.values()))
    first = next(iter(read.values()))
    by_heading = {first[path].heading: path for path in sorted(shared)}
    paths = sorted(by_heading.values())
    drawn = [paths[at] for at in np.random.default_rng(_SEED).permutation(len(paths))[:limit]]
    return Source(
        "help",
        {name: [pages[path].heading for path in drawn] for name, pages in read.items()},
        {name: [pages[path].text[:PAGE_CHARS] for path in drawn] for name, pages in read.items()},
    )


def main() -> None:
    """Read the arguments, download what is missing, print the fit."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--pages", type=Path, required=True, help="folder for the help pages")
    parser.add_argument("--limit", type=int, default=60, help="help pages per language")
    arguments = parser.parse_args()
    help_pages.download(arguments.pages, list(LANGUAGES))
    sources = [
        declaration(LANGUAGES),
        help_texts(arguments.pages, LANGUAGES, arguments.limit),
    ]
    pairs = pair_up(asyncio.run(embed(sources)))
    print(json.dumps(summarise(pairs), indent=1))


if __name__ == "__main__":
    main()
