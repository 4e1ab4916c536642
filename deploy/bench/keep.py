"""What a finished run leaves in a folder: JSON, Markdown, plot, HTML."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.bench import page
from deploy.bench.report import Cells, markdown
from deploy.evaluate.dataset import DataError


@dataclass(frozen=True, slots=True)
class Kept:
    """A result in all its forms.

    Attributes:
        name: of the files, without ending.
        body: the JSON, with `run`.
        words: sentences under the table.
    """

    name: str
    title: str
    cells: Cells
    words: Sequence[str]
    body: dict[str, Any]

    @property
    def about(self) -> str:
        """What was measured, and the units of the tables."""
        run = self.body["run"]
        what = run.get("model") or run.get("engine") or "an endpoint"
        where = f" at {run['url']}" if run.get("url") else ""
        return f"{what}{where}; times in milliseconds unless marked s, memory in MiB"


def keep(folder: Path, kept: Kept, picture: Callable[[Path], None] | None) -> list[Path]:
    """Write the files; `picture` writes the PNG.

    Raises:
        DataError: the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        whole = json.dumps(kept.body, ensure_ascii=False, indent=1)
        text = f"{kept.about}\n\n{markdown(kept.cells)}"
        text += "".join(f"\n{each}\n" for each in kept.words)
        files = [folder / f"{kept.name}.{ending}" for ending in ("html", "md", "json")]
        files[2].write_text(f"{whole}\n", encoding="utf-8")
        files[1].write_text(text, encoding="utf-8")
        plot = None
        if picture is not None:
            plot = folder / f"{kept.name}.png"
            picture(plot)
        page.write(
            files[0],
            kept.title,
            kept.cells,
            about=kept.about,
            words=kept.words,
            picture=plot,
            run=kept.body["run"],
        )
    except OSError as error:
        raise DataError(f"{error.filename}: {error.strerror}") from None
    return [*files, *([plot] if plot else [])]
