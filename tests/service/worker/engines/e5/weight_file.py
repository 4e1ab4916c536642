"""A small weight file in the format of the real one, with random values."""

import struct
from pathlib import Path

import numpy as np

HIDDEN, LAYERS, HEADS, FFN, VOCABULARY, POSITIONS, TYPES = 64, 2, 4, 128, 50, 32, 2


def write(path: Path, *, magic: bytes = b"E5S1", block: int = 32) -> dict[str, np.ndarray]:
    """Write it; return the tensors as a reader should see them: matrices [outputs, inputs]."""
    random = np.random.default_rng(7)
    tensors: dict[str, np.ndarray] = {}
    stored: dict[str, tuple[int, int, bytes]] = {}

    def vector(name, size, middle=0.0):
        values = (middle + 0.1 * random.standard_normal(size)).astype(np.float32)
        tensors[name] = values
        stored[name] = (0, size, values.tobytes())

    def matrix(name, rows, columns):
        values = random.integers(-8, 8, (rows, columns // 32, 32))
        scales = (0.02 * random.random((rows, columns // 32)) + 0.01).astype(np.float16)
        tensors[name] = (values * scales[:, :, None].astype(np.float32)).reshape(rows, columns)
        shifted = (values + 8).astype(np.uint8)
        nibbles = shifted[:, :, :16] | (shifted[:, :, 16:] << 4)
        packed = np.concatenate([scales[:, :, None].view(np.uint8), nibbles], axis=2)
        stored[name] = (1, rows * columns, packed.tobytes())

    matrix("emb.word", VOCABULARY, HIDDEN)
    vector("emb.pos", POSITIONS * HIDDEN)
    vector("emb.type", TYPES * HIDDEN)
    vector("emb.ln.w", HIDDEN, 1.0)
    vector("emb.ln.b", HIDDEN)
    for layer in range(LAYERS):
        for part, rows, columns in (
            *((name, HIDDEN, HIDDEN) for name in ("q", "k", "v", "ao")),
            ("fi", FFN, HIDDEN),
            ("fo", HIDDEN, FFN),
        ):
            matrix(f"l{layer}.{part}.w", rows, columns)
            vector(f"l{layer}.{part}.b", rows)
        for part in ("aln", "oln"):
            vector(f"l{layer}.{part}.w", HIDDEN, 1.0)
            vector(f"l{layer}.{part}.b", HIDDEN)

    head = magic + struct.pack("<I7i", 1, HIDDEN, LAYERS, HEADS, FFN, VOCABULARY, POSITIONS, TYPES)
    head += struct.pack("<fi", 1e-12, block)
    head += struct.pack("<5iQ", 2, 0, 2, 1, 3, 3) + struct.pack("<3I2f", 0, 1, 3, 0, 0) + b"abc"
    head += struct.pack("<iI", 1, 5) + b"table"
    size = len(head) + 4 + sum(2 + len(name) + 21 for name in stored)
    directory, data = struct.pack("<i", len(stored)), b""
    for name, (dtype, count, raw) in stored.items():
        directory += struct.pack("<H", len(name)) + name.encode()
        directory += struct.pack("<BIQQ", dtype, count, size + len(data), len(raw))
        data += raw
    path.write_bytes(head + directory + data)
    return tensors
