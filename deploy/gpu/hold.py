"""A process that holds memory of a card: `python -m deploy.gpu.hold PARENT_PID`.

Reads commands from stdin, one a line: `alloc BYTES` or `free`; answers each with `ok` or
`error WORDS`. `CUDA_VISIBLE_DEVICES` says which card. Ends with its parent, and with stdin.
"""

from __future__ import annotations

import sys

from deploy.gpu.cuda import Cuda, CudaFailed
from deploy.parent import end_with_parent


def main() -> int:
    """Serve stdin until it ends."""
    end_with_parent(int(sys.argv[1]))
    held: list[int] = []
    try:
        cuda = Cuda()
    except CudaFailed as error:
        _say(f"error {error}")
        return 1
    _say("ok")
    for line in sys.stdin:
        verb, _, size = line.strip().partition(" ")
        try:
            if verb == "alloc":
                held.append(cuda.allocate(int(size)))
            while verb == "free" and held:
                cuda.free(held.pop())
        except CudaFailed as error:
            _say(f"error {error}")
        else:
            _say("ok")
    return 0


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
