"""The playground as a process: settings in, a page on a port until a signal."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import tempfile
from pathlib import Path

from starlette.types import ASGIApp

from deploy import address
from deploy.config import Config
from deploy.ui.gateway import BadKeyFile, Gateway, read_key
from deploy.ui.guard import Guard
from deploy.ui.settings import EXTRA, is_installed
from service.gateway.auth import BadKeysFile, Keys, is_loopback
from service.serving import Listener, bind, exit_within_grace, stop_event, url_of

EXIT_USAGE = 2
_GRACE_S = 1.0


class CannotStart(Exception):
    """The settings or the machine do not allow a start; says what to do."""


def gateway_url(config: Config) -> str:
    """Where the playground asks: the configured place, else the gateway of this host."""
    if config.ui.gateway_url:
        return config.ui.gateway_url
    return address.local_url(config.service.host, config.service.port)


def public_url(config: Config) -> str:
    """The gateway as visitors are told it; with a wildcard host, their own name for it follows."""
    return config.ui.gateway_url or address.url_of(config.service.host, config.service.port)


def create_app(config: Config, uploads: Path) -> ASGIApp:
    """The guarded page in every language, `/` leading to the browser's own.

    Raises:
        BadKeysFile: the file that says who may open it is unusable.
        BadKeyFile: the file with the gateway's key is.
    """
    os.environ["GRADIO_TEMP_DIR"] = str(uploads)
    # before the import: it reads them once
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    from deploy.ui.desk import Place  # noqa: PLC0415 - seconds of import, and only where installed
    from deploy.ui.site import site  # noqa: PLC0415

    if config.ui.api_key_file is not None:
        read_key(config.ui.api_key_file)
    keys = Keys(config.ui.auth_file)
    place = Place(
        gateway=Gateway(
            gateway_url(config), config.ui.api_key_file, config.service.request_timeout_s
        ),
        public_url=public_url(config),
        uploads=uploads,
        max_documents=config.service.max_documents,
        instructions=config.service.instructions,
    )
    return Guard(site(place), keys, local=is_loopback(config.ui.host))


def run(config: Config) -> int:
    """Serve until a signal; blocks. Returns the exit code: 0, or 2 with the reason on stderr."""
    try:
        with tempfile.TemporaryDirectory(prefix="rankguard-ui-") as folder:
            # what visitors upload is gone when this process is
            return exit_within_grace(asyncio.run(_serve(config, Path(folder))))
    except (CannotStart, BadKeysFile, BadKeyFile) as error:
        print(f"rankguard ui: {error}", file=sys.stderr)
        return EXIT_USAGE


async def _serve(config: Config, uploads: Path) -> int:
    if not is_installed():
        raise CannotStart(f"the playground is not installed: pip install '{EXTRA}'")
    try:
        listener = bind(config.ui.host, config.ui.port)
    except OSError as error:
        raise CannotStart(
            f"{config.ui.host}:{config.ui.port} cannot be bound: {error.strerror};"
            " set [ui] port (RANKGUARD_UI__PORT)"
        ) from None
    app = create_app(config, uploads)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    stop = stop_event()
    server = Listener(app, listener, lifespan="on")
    print(f"the playground is at {url_of(listener)}/", file=sys.stderr, flush=True)
    await stop.wait()
    await server.stop(_GRACE_S)
    return 0
