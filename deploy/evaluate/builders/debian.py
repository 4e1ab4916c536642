"""A Debian package's files, without installing it."""

from __future__ import annotations

import subprocess
from pathlib import Path

_LIMIT_S = 300


def unpack(package: str, cache: Path) -> Path:
    """The folder with the package's files, fetched at the first call; needs apt and dpkg.

    Raises:
        subprocess.SubprocessError, OSError: they failed or are not there.
    """
    folder = cache / package
    if folder.is_dir():
        return folder
    cache.mkdir(parents=True, exist_ok=True)
    subprocess.run(
        ["apt-get", "download", "--quiet", "--quiet", package],
        cwd=cache,
        check=True,
        timeout=_LIMIT_S,
    )
    archive = max(cache.glob(f"{package}_*.deb"), default=cache / f"{package}.deb")
    partial = cache / f"{package}.partial"
    subprocess.run(["dpkg-deb", "-x", archive, partial], check=True, timeout=_LIMIT_S)
    partial.rename(folder)
    return folder
