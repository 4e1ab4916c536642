"""How many characters make a token for this endpoint, by its own count."""

from __future__ import annotations

from dataclasses import dataclass

from deploy.bench.text import CHARS_PER_TOKEN, Library, chars_per_token
from deploy.evaluate.endpoint import Client, Target

_SHORT_CHARS = 400
_LONG_CHARS = 1200
_PROBES = 4


@dataclass(frozen=True, slots=True)
class Length:
    """Characters per token.

    Attributes:
        measured: by the endpoint's own counts; False: it gives none, and English text with a
            multilingual vocabulary is assumed.
    """

    chars_per_token: float
    measured: bool

    def chars(self, tokens: int) -> int:
        return max(16, round(tokens * self.chars_per_token))


async def measure(client: Client, target: Target, library: Library) -> Length:
    """Ask the endpoint about documents of two sizes.

    Raises:
        EndpointError: it does not answer.
    """
    counts = []
    for size in (_SHORT_CHARS, _LONG_CHARS):
        request = library.request(-size, documents=_PROBES, chars=size)
        ranked = await client.rerank_patiently(target, request.query, request.documents)
        if ranked.tokens is None:
            return Length(CHARS_PER_TOKEN, measured=False)
        counts.append((sum(len(each) for each in request.documents), ranked.tokens))
    found = chars_per_token(*counts)
    return Length(found or CHARS_PER_TOKEN, measured=found is not None)
