"""A secret from its file; no message shows what is in it."""

from __future__ import annotations

from pathlib import Path

from service.gateway.search.store import StoreError

MAX_BYTES = 16_384


def read_secret(path: Path | None) -> str:
    """The file's content without the white space around it; empty where no file is named.

    Raises:
        StoreError: it cannot be read, is empty or is no text.
    """
    if path is None:
        return ""
    try:
        with path.open("rb") as file:
            secret = file.read(MAX_BYTES).decode("ascii").strip()
    except OSError as error:
        raise StoreError(f"the secret in {path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise StoreError(f"the secret in {path} is not plain ASCII") from error
    if not secret or not secret.isprintable():
        raise StoreError(f"the secret in {path} has to be one line")
    return secret
