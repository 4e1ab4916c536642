"""One forward pass: windows in, embeddings out. Thread-safe; knows no job and no queue."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from service.worker.engines.e5.graph import MODEL_FILE
from service.worker.engines.e5.vocabulary import PAD, Ids

Embeddings = NDArray[np.float32]


def batch(windows: Sequence[Ids]) -> dict[str, NDArray[np.generic]]:
    """The model's three inputs: windows padded on the right to the longest."""
    lengths = np.array([len(window) for window in windows], dtype=np.int32)
    ids = np.full((len(windows), int(lengths.max())), PAD, dtype=np.int64)
    for row, window in enumerate(windows):
        ids[row, : len(window)] = window
    mask = np.arange(ids.shape[1])[None, :] < lengths[:, None]
    return {"ids": ids, "lengths": lengths, "mask": mask[:, :, None].astype(np.float32)}


class Forward:
    """The model in ONNX Runtime; a pass runs on the thread that calls, and on no other."""

    def __init__(self, folder: Path) -> None:
        """Load in about 0.1 s; the large tensors are mapped from the file."""
        # read when the library is loaded: since 1.31 it reports to its vendor unless told not to
        os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
        import onnxruntime  # noqa: PLC0415 - only the process that scores needs it

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.enable_mem_pattern = False  # every pass has another shape
        level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.graph_optimization_level = level  # the graph is written as it should run
        self._session = onnxruntime.InferenceSession(
            str(folder / MODEL_FILE), options, providers=["CPUExecutionProvider"]
        )

    def embed(self, windows: Sequence[Ids]) -> Embeddings:
        """Embed windows of at most 512 tokens: float32 [windows, 384], each row of length 1."""
        [embeddings] = self._session.run(None, batch(windows))
        found: Embeddings = embeddings
        return found
