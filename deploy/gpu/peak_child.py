"""How fast this machine multiplies matrices: `PYTHON -m deploy.gpu.peak_child`, with torch.

Prints one JSON object; operations are counted as 2 n³ for a product.
"""

from __future__ import annotations

import json
import time

_SECONDS = 1.0
_SIZES = {"cuda": 8192, "cpu": 1024}


def measure() -> dict[str, str | int | float]:
    """The best of three rounds on random bfloat16 numbers: zeros would draw less power."""
    import torch  # noqa: PLC0415 - only where an engine is

    where = "cuda" if torch.cuda.is_available() else "cpu"
    size = _SIZES[where]
    one, other = (torch.randn(size, size, device=where, dtype=torch.bfloat16) for _ in range(2))

    def wait() -> None:
        if where == "cuda":
            torch.cuda.synchronize()

    best = 0.0
    with torch.inference_mode():
        for _ in range(3):
            one @ other
        wait()
        for _ in range(3):
            began, count = time.perf_counter(), 0
            while time.perf_counter() - began < _SECONDS / 3:
                for _ in range(4):
                    one @ other
                wait()
                count += 4
            best = max(best, count * 2 * size**3 / (time.perf_counter() - began))
    return {"device": where, "size": size, "flops_per_s": best, "torch": torch.__version__}


if __name__ == "__main__":
    print(json.dumps(measure()))
