"""`rankguard rerank`: scores from the terminal."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from deploy.commands.columns import console
from deploy.commands.options import ConfigFile, Json, examples

NAME = "rerank"
EXAMPLES = examples(
    'rankguard rerank "how do plants make sugar" "photosynthesis uses light" "ships carry tea"',
    'rankguard rerank "query" --file documents.jsonl --top-n 5',
    'cat documents.txt | rankguard rerank "query" --json',
)
_BAR = 20


def run(
    query: Annotated[str, typer.Argument(help="what is asked")],
    documents: Annotated[list[str] | None, typer.Argument(help="what is to be ordered")] = None,
    config: ConfigFile = None,
    file: Annotated[
        Path | None, typer.Option(help='JSONL: one string or {"text": …} a line; - is stdin')
    ] = None,
    top_n: Annotated[int | None, typer.Option(min=1, help="how many to show")] = None,
    instruction: Annotated[str, typer.Option(help="what relevant means here")] = "",
    url: Annotated[str, typer.Option(envvar="RANKGUARD_URL", help="the gateway's URL")] = "",
    as_json: Json = False,
) -> None:
    """Order documents by how well they answer a query."""
    from deploy.address import local_url
    from deploy.client import Unreachable, call
    from deploy.config import load

    texts = [*(documents or []), *_read_more(file, given=bool(documents))]
    if not texts:
        print("no documents: give them as arguments, with --file, or on stdin", file=sys.stderr)
        raise typer.Exit(2)
    ours = not url
    if ours:
        settings = load(config).service
        url = local_url(settings.host, settings.port)
    body: dict[str, Any] = {"query": query, "documents": texts, "return_documents": True}
    if top_n is not None:
        body["top_n"] = top_n
    if instruction:
        body["instruction"] = instruction
    key = os.environ.get("RANKGUARD_API_KEY")
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    try:
        answer = call("POST", f"{url.rstrip('/')}/v1/rerank", ours=ours, json=body, headers=headers)
    except Unreachable as error:
        print(error, file=sys.stderr)
        raise typer.Exit(1) from None
    if as_json:
        print(json.dumps(answer, ensure_ascii=False, indent=1))
    else:
        _print_table(answer)


def _read_more(file: Path | None, *, given: bool) -> list[str]:
    if file is None:
        if given or sys.stdin.isatty():
            return []
        return [line.rstrip("\n") for line in sys.stdin if line.strip()]
    try:
        stdin = str(file) == "-"
        text = sys.stdin.read() if stdin else file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        print(f"{file}: cannot be read: {why}", file=sys.stderr)
        raise typer.Exit(2) from None
    return [
        _document(line, f"{file}:{number}")
        for number, line in enumerate(text.splitlines(), start=1)
        if line.strip()
    ]


def _document(line: str, where: str) -> str:
    try:
        item = json.loads(line)
    except ValueError:
        item = None
    text = item.get("text") if isinstance(item, dict) else item
    if not isinstance(text, str):
        print(f'{where}: neither a JSON string nor {{"text": …}}', file=sys.stderr)
        raise typer.Exit(2)
    return text


def _print_table(answer: Any) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    table.add_column("#", justify="right", style="dim")
    table.add_column("score", justify="right")
    table.add_column("")
    table.add_column("index", justify="right", style="dim")
    table.add_column("document")
    for rank, item in enumerate(answer["results"], start=1):
        score = item["relevance_score"]
        filled = round(score * _BAR)
        bar = Text("█" * filled, style="green") + Text("░" * (_BAR - filled), style="dim")
        document = item.get("document") or {}
        words = " ".join(str(document.get("text", "")).split())
        cut = words if len(words) <= 200 else words[:199] + "…"
        table.add_row(str(rank), f"{score:.4f}", bar, str(item["index"]), Text(cut))
    screen = console()
    screen.print(table)
    screen.print(Text(str(answer.get("model", "")), style="dim"))
    for warning in (answer.get("meta") or {}).get("warnings", []):
        screen.print(Text(str(warning), style="yellow"))
