"""PURE: the same request as a command and as a program. Nothing secret is in either."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

KEY_VARIABLE = "RANKGUARD_API_KEY"
MOST_DOCUMENTS = 50
"""More would be a wall of text; the snippet then says how many are left out."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked, as the API takes it.

    Attributes:
        url: the gateway as the visitor reaches it, without a path.
        needs_key: the gateway wants an API key.
    """

    url: str
    query: str
    documents: Sequence[str]
    instruction: str = ""
    needs_key: bool = False


def as_curl(asked: Asked) -> str:
    """A command for a POSIX shell."""
    body: dict[str, object] = {"query": asked.query, "documents": list(_few(asked))}
    if asked.instruction:
        body["instruction"] = asked.instruction
    parts = [
        f"curl -s {shlex.quote(asked.url + '/v1/rerank')}",
        "-H 'Content-Type: application/json'",
    ]
    if asked.needs_key:
        parts.append(f'-H "Authorization: Bearer ${KEY_VARIABLE}"')
    parts.append(f"-d {shlex.quote(json.dumps(body, ensure_ascii=False, indent=1))}")
    return _note(asked) + " \\\n  ".join(parts) + "\n"


def as_python(asked: Asked) -> str:
    """A program that needs `requests` only."""
    documents = "".join(f"    {text!r},\n" for text in _few(asked))
    fields = '"query": query, "documents": documents'
    lines = [
        "import os\n" if asked.needs_key else "",
        "import requests\n\n",
        _note(asked),
        f"query = {asked.query!r}\n",
        f"documents = [\n{documents}]\n",
    ]
    if asked.instruction:
        lines.append(f"instruction = {asked.instruction!r}\n")
        fields += ', "instruction": instruction'
    lines += [
        "answer = requests.post(\n",
        f"    {asked.url + '/v1/rerank'!r},\n",
        f"    json={{{fields}}},\n",
        _key_line() if asked.needs_key else "",
        "    timeout=60,\n",
        ")\n",
        "answer.raise_for_status()\n",
        'for result in answer.json()["results"]:\n',
        "    print(f\"{result['relevance_score']:.4f}  {documents[result['index']]}\")\n",
    ]
    return "".join(lines)


def _key_line() -> str:
    return f"    headers={{'Authorization': 'Bearer ' + os.environ['{KEY_VARIABLE}']}},\n"


def _few(asked: Asked) -> Sequence[str]:
    return asked.documents[:MOST_DOCUMENTS]


def _note(asked: Asked) -> str:
    if len(asked.documents) <= MOST_DOCUMENTS:
        return ""
    return f"# the first {MOST_DOCUMENTS} of {len(asked.documents)} documents\n"
