"""How a request is made to fit: the document gives way first, then the query, nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tokenizers import Encoding

from service.errors import InvalidValue
from service.worker.prompts.prompt import LongDocuments
from service.worker.prompts.vocabulary import CHARS_PER_TOKEN, Vocabulary

MIN_SPACE = 16
"""Tokens that query and document need at least between them; less is no question at all."""

MAX_WINDOWS = 64
"""Windows of one document; what lies behind them is not read, and the score says so."""

_DOCUMENT_SHARE = 4  # the document may be cut down to this part of the space, then the query is cut
_OVERLAP_SHARE = 8  # windows share this part of their size with the next one


@dataclass(frozen=True, slots=True)
class Part:
    """A document, its beginning, or one window of it, tokenized.

    Attributes:
        document: index in the request.
        encoding: may be longer than the limit; the caller cuts it.
        truncated: something of the document is not in here, and in no other window.
        span: characters of the document, for a window.
    """

    document: int
    encoding: Encoding
    truncated: bool
    span: tuple[int, int] | None = None


def query_room(space: int, longest_document: int) -> int:
    """Tokens that the query may have.

    Args:
        space: tokens that query and document share.
        longest_document: tokens of the longest document.
    """
    return space - min(longest_document, max(1, space // _DOCUMENT_SHARE))


def check_space(space: int, max_tokens: int) -> None:
    """Refuse an instruction that leaves no room.

    Raises:
        InvalidValue: there are fewer than `MIN_SPACE` tokens for query and document.
    """
    if space < MIN_SPACE:
        raise InvalidValue(
            f"the instruction leaves {max(0, space)} of {max_tokens} tokens for query and document",
            param="instruction",
        )


def check_texts(query: str, documents: Sequence[str], instruction: str | None) -> None:
    """Refuse what is not a Unicode text: a tokenizer takes no lone surrogates.

    Raises:
        InvalidValue: names the field and the document's index.
    """
    named = [("query", query), ("instruction", instruction or "")]
    named += [(f"documents[{index}]", text) for index, text in enumerate(documents)]
    for name, text in named:
        if not is_unicode(text):
            raise InvalidValue(f"{name} holds a lone surrogate: it is not a text", param=name)


def is_unicode(text: str) -> bool:
    """Whether a tokenizer takes it: it holds no lone surrogate."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def cut_text(vocabulary: Vocabulary, text: str, tokens: int) -> str:
    """The beginning of a text that has at most about so many tokens."""
    (encoding, _), *_ = vocabulary.texts([text], limit=max(1, tokens), offsets=True)
    if len(encoding) <= tokens:
        return text
    return text[: encoding.offsets[tokens][0]]


def bounded(vocabulary: Vocabulary, text: str, tokens: int) -> str:
    """A query or instruction of any length, without reading megabytes of it.

    One with more tokens than that keeps so many: too many still, as the caller will find.
    """
    if len(text) <= tokens * CHARS_PER_TOKEN:
        return text
    return cut_text(vocabulary, text, tokens)


def windows(
    starts: Sequence[int], length: int, size: int, most: int = MAX_WINDOWS
) -> list[tuple[int, int]]:
    """Overlapping windows over a text.

    Args:
        starts: the character at which each token starts.
        length: characters of the text.
        size: tokens in one window; at least 1.
        most: how many windows at most.

    Returns:
        Character spans. The last one ends at `length` unless there would be more than `most`.
    """
    stride = max(1, size - size // _OVERLAP_SHARE)
    spans: list[tuple[int, int]] = []
    for first in range(0, len(starts), stride):
        last = first + size
        end = starts[last] if last < len(starts) else length
        begin = starts[first] if first else 0
        if end > begin:
            spans.append((begin, end))
        if end >= length or len(spans) == most:
            break
    return spans or [(0, length)]


class Fitter:
    """Tokenizes documents and makes each fit, in one of the three modes."""

    def __init__(self, vocabulary: Vocabulary, mode: LongDocuments, lead: str = "") -> None:
        """Make one.

        Args:
            vocabulary: the model's.
            mode: what happens to documents that do not fit.
            lead: text that the family puts before each document.
        """
        self._vocabulary = vocabulary
        self._mode = mode
        self._lead = lead

    def read(self, documents: Sequence[str], limit: int) -> list[tuple[Encoding, bool]]:
        """Tokenize the documents up to a little more than `limit` tokens each."""
        lead = self._lead
        return self._vocabulary.texts(
            [lead + text for text in documents] if lead else documents, limit=max(1, limit)
        )

    def parts(
        self,
        documents: Sequence[str],
        read: Sequence[tuple[Encoding, bool]],
        *,
        room: int,
        wanted: int | None,
    ) -> list[Part]:
        """The documents as parts, in order, one or more of each.

        Args:
            documents: the texts.
            read: what `read` made of them.
            room: tokens that one part may have.
            wanted: tokens per document that the caller asked for; None: as many as fit.

        Raises:
            InvalidValue: in reject mode, names the first document that does not fit.
        """
        keep = room if wanted is None else min(room, wanted)
        parts: list[Part] = []
        for index, (encoding, is_beginning) in enumerate(read):
            too_long = is_beginning or len(encoding) > keep
            if not too_long:
                parts.append(Part(index, encoding, truncated=False))
            elif self._mode is LongDocuments.REJECT and (wanted is None or wanted > room):
                raise InvalidValue(
                    f"documents[{index}] has more than the {room} tokens left beside the query",
                    param=f"documents[{index}]",
                )
            elif self._mode is LongDocuments.WINDOWS and keep == room:
                parts += self._windows(index, documents[index], room)
            else:
                parts.append(Part(index, encoding, truncated=True))
        return parts

    def _windows(self, index: int, document: str, size: int) -> list[Part]:
        (encoding, is_beginning), *_ = self._vocabulary.texts(
            [document], limit=size * MAX_WINDOWS, offsets=True
        )
        starts = [start for start, _ in encoding.offsets]
        length = encoding.offsets[-1][1] if is_beginning else len(document)
        lead = len(self._vocabulary.text(self._lead).ids)
        spans = windows(starts, length, max(1, size - lead))
        texts = [self._lead + document[begin:end] for begin, end in spans]
        cut = spans[-1][1] < len(document)
        tokenized = self._vocabulary.texts(texts, limit=size)
        return [
            Part(index, part, truncated=cut, span=span)
            for span, (part, _) in zip(spans, tokenized, strict=True)
        ]
