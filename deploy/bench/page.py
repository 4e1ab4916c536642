"""A result as one HTML file: tables, sentences, plot. Nothing is loaded from anywhere."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from deploy.bench.report import Cells

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem;
       color: #1b1f24; background: #fff }
table { border-collapse: collapse; margin: 1rem 0 }
th, td { text-align: right; padding: .2rem .8rem; border-bottom: 1px solid #d8dde3;
         font-variant-numeric: tabular-nums }
img { max-width: 100% }
dt { font-weight: 600 } dd { margin: 0 0 .4rem 1rem; overflow-wrap: anywhere }
@media (prefers-color-scheme: dark) { body { color: #e6e8eb; background: #16191d }
  img { background: #fff } th, td { border-color: #3a4149 } }
"""


def write(
    path: Path,
    title: str,
    cells: Cells,
    *,
    about: str,
    words: Sequence[str],
    picture: Path | None,
    run: Mapping[str, object],
) -> None:
    """Write the page.

    Args:
        about: one sentence under the title.
        picture: a PNG that is put into the page.
        run: what made the result, shown as a list.
    """
    head = "".join(f"<th>{escape(each)}</th>" for each in cells.titles)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in cells.rows
    )
    image = ""
    if picture is not None:
        data = base64.b64encode(picture.read_bytes()).decode("ascii")
        image = f'<img alt="{escape(title)}, as a plot" src="data:image/png;base64,{data}">'
    facts = "".join(
        f"<dt>{escape(name)}</dt><dd>{escape(str(value))}</dd>" for name, value in run.items()
    )
    text = "".join(f"<p>{escape(each)}</p>" for each in words)
    path.write_text(
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style>'
        f"<h1>{escape(title)}</h1><p>{escape(about)}</p><table><tr>{head}</tr>{body}</table>{text}{image}"
        f"<h2>Run</h2><dl>{facts}</dl></html>\n",
        encoding="utf-8",
    )
