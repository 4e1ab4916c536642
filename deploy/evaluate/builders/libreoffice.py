"""LibreOffice Help as a data set. Hard: pages of one program are about nearly the same thing.

The pages come from Debian packages into a cache; their texts are not part of rankguard.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from deploy.evaluate import help_pages
from deploy.evaluate.builders.pages import Page, assemble
from deploy.evaluate.dataset import Dataset

NAME = "libreoffice-help"
LICENCE = "LibreOffice Help: Mozilla Public License 2.0, (c) The Document Foundation contributors"
LANGUAGES = tuple(help_pages.PACKAGES)


def build(cache: Path, languages: Sequence[str] = LANGUAGES) -> Dataset:
    """Download what the cache lacks, and assemble; needs Debian or Ubuntu.

    Raises:
        subprocess.SubprocessError, OSError: apt or dpkg failed or are not there.
    """
    help_pages.download(cache, list(languages))
    pages = {
        lang: {
            path: Page(path, page.heading, page.text)
            for path, page in help_pages.load(cache, lang).items()
        }
        for lang in languages
    }
    return assemble(NAME, LICENCE, pages)
