"""The image's health check: exit code 0 when the gateway is ready."""

from __future__ import annotations

import os
import sys
import urllib.error
import urllib.request

LIMIT_S = 2.0


def is_ready(port: int) -> bool:
    """Whether /readyz answers 200 within the limit."""
    url = f"http://127.0.0.1:{port}/readyz"
    # a proxy of the environment is for other hosts
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(url, timeout=LIMIT_S) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


if __name__ == "__main__":
    sys.exit(0 if is_ready(int(os.environ.get("RANKGUARD_SERVICE__PORT", "8000"))) else 1)
