"""A rerank endpoint over HTTP: one request out, scores back, with limits on every wait."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import aiohttp
from typing_extensions import Self

from deploy.evaluate.dialect import DIALECTS, BadAnswer, Dialect, Ranked, read

Found = TypeVar("Found")

TRIES = 5
"""For answers that say "later" (429, 503) and for broken connections."""
PATIENCE_S = 60.0
"""After so long no further try is begun."""
_RETRIABLE = frozenset({429, 502, 503, 504})


class EndpointError(Exception):
    """The endpoint cannot be asked, or refused; the message is for the terminal.

    Attributes:
        status: of its answer; None when there was none.
    """

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Target:
    """Which endpoint, and how it is spoken to.

    Attributes:
        name: as tables show it.
        url: base URL without a trailing slash.
        model: sent with each request when not empty.
        key: bearer token; never shown.
    """

    name: str
    url: str
    dialect: Dialect
    model: str = ""
    instruction: str = ""
    key: str = ""
    timeout_s: float = 120.0

    def __repr__(self) -> str:
        return f"Target({self.name}, {self.dialect.name}+{self.url})"

    @property
    def is_loopback(self) -> bool:
        host = urlsplit(self.url).hostname or ""
        try:
            return host == "localhost" or ipaddress.ip_address(host).is_loopback
        except ValueError:
            return False


def parse_target(text: str, more: Sequence[Dialect] = ()) -> Target:
    """`[NAME=][DIALECT+]URL`, such as `old=tei+http://127.0.0.1:8080`; the dialect is jina if none.

    Args:
        more: further formats that the caller can use, beside those of rerankers.

    Raises:
        EndpointError: no http(s) URL, or an unknown dialect.
    """
    head, mark, rest = text.partition("=")
    name, spec = (head, rest) if mark and "://" not in head else ("", text)
    scheme, separator, _ = spec.partition("://")
    dialect, plus, http = scheme.rpartition("+")
    url = f"{http}{separator}{spec.partition('://')[2]}".rstrip("/")
    parts = urlsplit(url)
    if not separator or http not in {"http", "https"} or not parts.hostname:
        raise EndpointError(f"{text!r} is not [NAME=][DIALECT+]http://HOST[:PORT]")
    if parts.username or parts.password:
        raise EndpointError("a URL must not hold a password; use --key-file NAME=FILE")
    known = {**DIALECTS, **{each.name: each for each in more}}
    chosen = known.get(dialect if plus else "jina")
    if chosen is None:
        raise EndpointError(f"{dialect!r} is no dialect; there are {', '.join(known)}")
    return Target(name=name or parts.netloc, url=url, dialect=chosen)


def read_key(file: Path) -> str:
    """The first line of a key file.

    Raises:
        EndpointError: it cannot be read.
    """
    try:
        lines = file.read_text(encoding="utf-8").split()
    except (OSError, UnicodeDecodeError) as error:
        raise EndpointError(f"{file}: {error}") from None
    if not lines:
        raise EndpointError(f"{file} is empty")
    return lines[0]


class Client:
    """Connections to endpoints, as an async context manager; asks as many at once as it is told.

    Redirects are not followed: a run talks to the URL that was given and to no other.
    """

    def __init__(self, *, connections: int = 0) -> None:
        self._connections = connections
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self._connections),
            headers={"User-Agent": "rankguard"},
            trust_env=False,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def post(self, target: Target, path: str, body: object) -> Any:
        """The JSON answer to one POST, tried once.

        Raises:
            EndpointError: no answer in time, a status other than 2xx, or not JSON.
        """
        payload = json.dumps(body, ensure_ascii=False).encode()
        return await self._ask("POST", target, path, data=payload)

    async def get(self, target: Target, path: str) -> Any:
        """The JSON answer to one GET; raises as `post`."""
        return await self._ask("GET", target, path)

    async def rerank(self, target: Target, query: str, documents: Sequence[str]) -> Ranked:
        """One request, tried once.

        Raises:
            EndpointError: see `post`; also for an answer that is not in the dialect.
        """
        dialect = target.dialect
        body = dialect.body(target.model, query, documents, target.instruction)
        answer = await self.post(target, dialect.path, body)
        try:
            return read(dialect, answer, len(documents))
        except BadAnswer as error:
            raise EndpointError(f"{target.name}: {error}") from None

    async def rerank_patiently(
        self,
        target: Target,
        query: str,
        documents: Sequence[str],
        *,
        final: Collection[int] = (),
    ) -> Ranked:
        """Like `rerank`, but tried again as `patiently` does."""
        return await self.patiently(lambda: self.rerank(target, query, documents), final=final)

    async def patiently(
        self, ask: Callable[[], Awaitable[Found]], *, final: Collection[int] = ()
    ) -> Found:
        """What `ask` returns; asked again where the endpoint is only busy or starting.

        Args:
            final: statuses after which it is not asked again: the caller knows better.

        Raises:
            EndpointError: it refused, or was busy for too long.
        """
        end = time.monotonic() + PATIENCE_S
        for attempt in range(1, TRIES + 1):
            try:
                return await ask()
            except EndpointError as error:
                busy = error.status is None or error.status in _RETRIABLE
                if attempt == TRIES or not busy or error.status in final or time.monotonic() > end:
                    raise
                await asyncio.sleep(2.0**attempt / 2)
        raise AssertionError("unreachable")

    async def _ask(self, method: str, target: Target, path: str, **options: Any) -> Any:
        assert self._session is not None, "use it as a context manager"
        headers = {"Content-Type": "application/json"}
        if target.key:
            headers["Authorization"] = f"Bearer {target.key}"
        try:
            async with self._session.request(
                method,
                target.url + path,
                headers=headers,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=target.timeout_s),
                **options,
            ) as response:
                raw = await response.read()
                status = response.status
        except asyncio.TimeoutError:
            raise EndpointError(f"{target.name}: no answer within {target.timeout_s:g} s") from None
        except aiohttp.ClientConnectorError:
            raise EndpointError(f"{target.name}: nothing listens at {target.url}") from None
        except aiohttp.ClientError as error:
            raise EndpointError(f"{target.name} ({target.url}): {error}") from None
        return decode(target, status, raw)


def decode(target: Target, status: int, raw: bytes) -> Any:
    """The JSON of an answer.

    Raises:
        EndpointError: a status other than 2xx, or not JSON.
    """
    try:
        answer = json.loads(raw)
    except ValueError:
        answer = None
    if not 200 <= status < 300:
        raise EndpointError(f"{target.name}: {status}: {_reason(answer, raw)}", status=status)
    if answer is None:
        raise EndpointError(f"{target.name}: the answer is not JSON", status=status)
    return answer


def _reason(answer: object, raw: bytes) -> str:
    said = answer
    if isinstance(answer, Mapping):
        said = answer.get("error") or answer.get("message") or answer.get("detail") or answer
    if isinstance(said, Mapping):
        said = said.get("message", said)
    return str(said if said is not None else raw[:200].decode(errors="replace"))[:300]


async def describe(client: Client, target: Target) -> str:
    """The model that the endpoint says it serves (`/v1/models`); empty when it does not say.

    Raises:
        EndpointError: nobody answers there at all.
    """
    try:
        answer = await client.get(target, "/v1/models")
        return str(answer["data"][0]["id"])
    except EndpointError as error:
        if error.status is None:
            raise
        return ""
    except (LookupError, TypeError):
        return ""
