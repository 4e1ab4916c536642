"""What a finished run leaves in its folder: JSON, CSV, Markdown, TREC run, heat maps."""

from __future__ import annotations

import json
from pathlib import Path

from deploy.evaluate import heatmap, report
from deploy.evaluate.session import Outcome
from deploy.evaluate.trec import run_lines


def keep(outcome: Outcome, folder: Path, *, metric: str = "ndcg_at_10") -> list[Path]:
    """Write the reports; returns the files, the most interesting first.

    Args:
        metric: that the heat maps show, `ndcg_at_10` or `ndcg_at_3`.
    """
    result = folder / "result.json"
    result.write_text(
        json.dumps(outcome.to_json(), ensure_ascii=False, indent=1) + "\n", encoding="utf-8"
    )
    table = folder / "report.md"
    table.write_text(report.markdown(outcome), encoding="utf-8")
    rows = folder / "result.csv"
    rows.write_text(report.comma_separated(outcome.results), encoding="utf-8")
    files = [table, result, rows]
    for one in outcome.results:
        picture = folder / f"heatmap-{_file_name(one.system)}.png"
        heatmap.draw(one, picture, metric=metric)
        ranking = folder / f"run-{_file_name(one.system)}.trec"
        own = (answer for (system, _), answer in outcome.answers.items() if system == one.system)
        ranking.write_text("".join(f"{line}\n" for line in run_lines(own)), encoding="utf-8")
        files += [picture, ranking]
    return files


def _file_name(system: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "-_." else "_" for letter in system)
