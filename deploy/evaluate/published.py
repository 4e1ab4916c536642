"""What the models' authors published of their own runs: shown beside ours, and marked."""

from __future__ import annotations

SOURCE = (
    "published by the models' authors (QwenLM/Qwen3-Embedding, README), of their own runs: the top"
    " 100 of Qwen3-Embedding-0.6B, reranked; not measured here"
)
COLUMNS = ("MTEB-R", "CMTEB-R", "MMTEB-R", "MLDR", "MTEB-Code", "FollowIR")
ROWS: tuple[tuple[str, tuple[float, ...]], ...] = (
    ("no reranking", (61.82, 71.02, 64.64, 50.26, 75.41, 5.09)),
    ("jina-multilingual-reranker-v2-base", (58.22, 63.37, 63.73, 39.66, 58.98, -0.68)),
    ("gte-multilingual-reranker-base", (59.51, 74.08, 59.44, 66.33, 54.18, -1.64)),
    ("bge-reranker-v2-m3", (57.03, 72.16, 58.36, 59.51, 41.38, -0.01)),
    ("Qwen3-Reranker-0.6B", (65.80, 71.31, 66.36, 67.28, 73.42, 5.41)),
    ("Qwen3-Reranker-4B", (69.76, 75.94, 72.74, 69.97, 81.20, 14.84)),
    ("Qwen3-Reranker-8B", (69.02, 77.45, 72.94, 70.19, 81.22, 8.05)),
)
"""Model -> NDCG@10 x 100 in the order of `COLUMNS`; of FollowIR p-MRR x 100."""
