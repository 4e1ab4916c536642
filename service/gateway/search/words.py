"""A text as the words that are matched: for BM25, in any script. PURE."""

from __future__ import annotations

import re

# Scripts written without spaces: Thai, Lao, Burmese, Khmer, kana, Han. Words there are not
# marked, so overlapping pairs of characters stand for them, as Lucene's CJK analyzer does.
_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
_PIECE = re.compile(rf"[{_UNSPACED}]+|[^\W{_UNSPACED}]+")
_IS_UNSPACED = re.compile(rf"[{_UNSPACED}]")


def tokens(text: str) -> list[str]:
    """Lower-case words; character pairs in scripts that write no spaces."""
    found: list[str] = []
    for piece in _PIECE.findall(text.lower()):
        if _IS_UNSPACED.match(piece) and len(piece) > 1:
            found += [piece[at : at + 2] for at in range(len(piece) - 1)]
        else:
            found.append(piece)
    return found
