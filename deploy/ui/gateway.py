"""The gateway over HTTP, as the playground asks it. The key goes into one header, nowhere else."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import requests

from deploy.ui.answer import Answer, BadAnswer, read_answer, read_timing
from deploy.ui.complaint import Cause, Refused
from deploy.ui.findings import Findings, read_findings

_SEARCH = "/v1/search"
_CONNECT_S = 2.0
_MODELS_S = 3.0
_GRACE_S = 5.0  # over the service's own deadline: its word is better than our timeout


class BadKeyFile(Exception):
    """The file with the API key cannot be used; says why, never what is in it."""


@dataclass(frozen=True, slots=True)
class Served:
    """What answers: a model, its engine, and what the engine wants users to know."""

    model: str
    engine: str = ""
    notice: str = ""

    @property
    def takes_instruction(self) -> bool:
        return self.engine != "embedded"


def read_key(path: Path) -> str:
    """The plain key in a file.

    Raises:
        BadKeyFile: it cannot be read, or cannot be a key.
    """
    try:
        key = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise BadKeyFile(f"cannot read {path}: {why}") from None
    if not key or not key.isascii() or not key.isprintable() or " " in key:
        raise BadKeyFile(f"{path} does not hold one API key")
    return key


class Gateway:
    """The service that is asked."""

    def __init__(self, url: str, key_file: Path | None, timeout_s: float) -> None:
        self._url = url.rstrip("/")
        self._key_file = key_file
        self._timeout_s = timeout_s + _GRACE_S

    @property
    def has_key(self) -> bool:
        return self._key_file is not None

    def rerank(self, query: str, documents: Sequence[str], instruction: str) -> Answer:
        """Ask for an order of all documents.

        Raises:
            Refused: there is none; says why.
        """
        body: dict[str, object] = {
            "query": query,
            "documents": list(documents),
            "return_documents": False,
        }
        if instruction:
            body["instruction"] = instruction
        began = time.monotonic()
        response = self._ask("POST", "/v1/rerank", body, self._timeout_s)
        whole_ms = (time.monotonic() - began) * 1000
        timing = read_timing(response.headers.get("server-timing", ""), whole_ms)
        try:
            return read_answer(_json(response), documents, timing)
        except BadAnswer:
            raise Refused(0, Cause.STRANGE) from None

    def search(self, query: str, top: int) -> Findings:
        """Ask for the best passages of what is indexed.

        Raises:
            Refused: there are none to be had; says why.
        """
        body: dict[str, object] = {"query": query, "top": top}
        try:
            return read_findings(_json(self._ask("POST", _SEARCH, body, self._timeout_s)))
        except BadAnswer:
            raise Refused(0, Cause.STRANGE) from None

    def has_search(self) -> bool | None:
        """Whether the service searches at all; None when nobody says."""
        try:
            self._ask("GET", _SEARCH, None, _MODELS_S)
        except Refused as refused:
            # the path is there for POST only, and only when it is enabled
            return {404: False, 405: True}.get(refused.status)
        return None

    def served(self) -> Served | None:
        """What answers now; None when nobody says."""
        try:
            body = _json(self._ask("GET", "/v1/models", None, _MODELS_S))
        except Refused:
            return None
        entries = body.get("data") if isinstance(body, dict) else None
        if not isinstance(entries, list) or not entries or not isinstance(entries[0], dict):
            return None
        first = entries[0]
        return Served(*(str(first.get(name) or "") for name in ("id", "engine", "notice")))

    def _ask(
        self, method: str, path: str, body: dict[str, object] | None, timeout_s: float
    ) -> requests.Response:
        try:
            response = requests.request(
                method,
                self._url + path,
                json=body,
                headers=self._headers(),
                timeout=(_CONNECT_S, timeout_s),
                allow_redirects=False,
            )
        except requests.Timeout:
            raise Refused(0, Cause.SLOW) from None
        except requests.ConnectionError:
            raise Refused(0, Cause.DOWN) from None
        except requests.RequestException:
            raise Refused(0, Cause.STRANGE) from None
        if not response.ok or response.is_redirect:
            raise _refusal(response)
        return response

    def _headers(self) -> dict[str, str]:
        # read each time: a key that was changed counts at once; without a usable one it is a 401
        if self._key_file is not None:
            with contextlib.suppress(BadKeyFile):
                return {"Authorization": f"Bearer {read_key(self._key_file)}"}
        return {}


def _json(response: requests.Response) -> object:
    try:
        return response.json()
    except ValueError:
        return None


def _refusal(response: requests.Response) -> Refused:
    body = _json(response)
    error = body.get("error") if isinstance(body, dict) else None
    said = error if isinstance(error, dict) else {}
    return Refused(
        response.status_code,
        message=str(said.get("message") or ""),
        param=str(said.get("param") or ""),
        retry_after_s=_seconds(response.headers.get("retry-after")),
    )


def _seconds(text: str | None) -> float | None:
    with contextlib.suppress(ValueError):
        return float(text) if text else None
    return None
