"""The client of the contest: as light as can be, since it shares two cores with what it measures.

A general HTTP client takes as long for a request of ten documents as our gateway takes to answer
it from its cache; what was measured then was the client. All sides are asked by the same one.
"""

from __future__ import annotations

from typing import Any

from typing_extensions import Self

from deploy.evaluate.endpoint import Client, EndpointError, Target, decode
from service.gateway.transport import ReplicaFailed
from service.gateway.wire import HttpWire


class LoopbackClient(Client):
    """Speaks HTTP/1.1 to a server of this machine; without keys, redirects and TLS."""

    def __init__(self) -> None:
        super().__init__()
        self._wire: HttpWire | None = None

    async def __aenter__(self) -> Self:
        self._wire = HttpWire()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._wire is not None:
            await self._wire.close()

    async def _ask(self, method: str, target: Target, path: str, **options: Any) -> Any:
        assert self._wire is not None, "use it as a context manager"
        assert method == "POST", "the contest only posts"
        try:
            status, raw = await self._wire.post(target.url, path, options["data"], target.timeout_s)
        except ReplicaFailed as error:
            raise EndpointError(f"{target.name}: {error.message}") from None
        return decode(target, status, raw)
