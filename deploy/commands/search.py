"""`rankguard search`: index a folder, and ask it in two stages."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deploy.commands.options import ConfigFile, Json, examples

if TYPE_CHECKING:
    from service.settings import ServiceSettings

NAME = "search"
app = typer.Typer(help="Index a folder of texts and search it.", no_args_is_help=True)

Url = Annotated[str, typer.Option(envvar="RANKGUARD_URL", help="the gateway's URL")]


@app.callback()
def group() -> None:
    """Index a folder of texts and search it in two stages: recall, then rerank."""


@app.command(
    epilog=examples(
        "rankguard search index docs/",
        "rankguard search index /srv/wiki --json",
    )
)
def index(
    folder: Annotated[Path, typer.Argument(help="Markdown, text, HTML and JSONL in it")],
    config: ConfigFile = None,
    url: Url = "",
    as_json: Json = False,
) -> None:
    """Bring the index up to date with a folder: only what changed is embedded again."""
    from deploy.search import indexing

    with _explained():
        indexing.run(folder, _loaded(config), url=url, key=_key(), as_json=as_json)


@app.command(
    epilog=examples(
        'rankguard search query "how do I drain a replica"',
        'rankguard search query "驱逐副本" --top 3 --recall-by dense --rerank always',
        'rankguard search query "disk full" --json',
    )
)
def query(
    words: Annotated[str, typer.Argument(help="what is asked")],
    config: ConfigFile = None,
    top: Annotated[int, typer.Option(min=1, max=1000, help="results")] = 10,
    recall: Annotated[
        int | None, typer.Option(min=1, max=1000, help="candidates of the first stage")
    ] = None,
    recall_by: Annotated[str, typer.Option(help="dense (vectors), lexical (words) or fusion")] = "",
    rerank: Annotated[
        bool | None, typer.Option("--rerank/--no-rerank", help="force or leave out stage two")
    ] = None,
    per_source: Annotated[
        int, typer.Option(min=0, help="results of one file at most; 0: no limit")
    ] = 1,
    instruction: Annotated[str, typer.Option(help="what relevant means here")] = "",
    url: Url = "",
    as_json: Json = False,
) -> None:
    """Search what was indexed; shows each stage's time and what reranking changed."""
    from deploy.search import querying

    with _explained():
        querying.run(
            querying.Wish(
                words,
                top=top,
                candidates=recall,
                recall=recall_by,
                rerank=rerank,
                per_source=per_source,
                instruction=instruction,
            ),
            _loaded(config),
            url=url,
            key=_key(),
            as_json=as_json,
        )


@app.command(
    epilog=examples(
        "rankguard search measure --data libreoffice-help --pair en:en --pair zh:en --queries 100",
        "rankguard search measure --data ./my-beir-folder --json",
    )
)
def measure(
    data: Annotated[str, typer.Option(help="a built set, or a folder in BEIR form")],
    config: ConfigFile = None,
    pair: Annotated[
        list[str] | None, typer.Option(help="only this language pair, such as zh:en")
    ] = None,
    queries: Annotated[int, typer.Option(min=0, help="per pair; 0: all")] = 100,
    recall: Annotated[int, typer.Option(min=1, max=1000, help="candidates")] = 100,
    out: Annotated[Path, typer.Option("--out", "-o", help="where the indexes are kept")] = Path(
        "build/search"
    ),
    url: Url = "",
    as_json: Json = False,
) -> None:
    """Compare the stages on judged data: words, vectors, fusion, each reranked and not."""
    from deploy.search import comparison

    with _explained():
        comparison.run(
            comparison.Wish(data, tuple(pair or ()), queries, recall, out),
            _loaded(config),
            url=url,
            key=_key(),
            as_json=as_json,
        )


def _key() -> str:
    return os.environ.get("RANKGUARD_API_KEY", "")


def _loaded(config: Path | None) -> ServiceSettings:
    from deploy.config import load

    return load(config).service


@contextlib.contextmanager
def _explained() -> Iterator[None]:
    """What goes wrong as a sentence: exit code 2 where the command is to be changed, else 1."""
    from deploy.search.place import Refused
    from service.gateway.search.remote import Unanswered
    from service.gateway.search.store import StoreError

    try:
        yield
    except (StoreError, Unanswered) as error:
        print(error, file=sys.stderr)
        raise typer.Exit(1) from None
    except Refused as error:
        print(error, file=sys.stderr)
        raise typer.Exit(2) from None
    except ModuleNotFoundError as error:
        print(f"{error.name} is missing: pip install 'rankguard[search]'", file=sys.stderr)
        raise typer.Exit(2) from None
    except KeyboardInterrupt:
        print("stopped; run it again to go on where it ended", file=sys.stderr)
        raise typer.Exit(130) from None
