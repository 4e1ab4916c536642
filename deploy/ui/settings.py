"""Settings of the playground: section `[ui]`."""

from __future__ import annotations

from importlib import util
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

EXTRA = "rankguard[ui]"


def is_installed() -> bool:
    """Whether the extra `ui` is here; nothing is imported."""
    return util.find_spec("gradio") is not None


class UiSettings(BaseModel):
    """Section `[ui]`: the page for people, on a port of its own."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    enabled: bool | Literal["auto"] = Field(
        "auto", description="whether `up` starts it; auto: when the extra `ui` is installed"
    )
    host: str = Field("127.0.0.1", description="address that the playground binds")
    port: int = Field(7860, ge=0, le=65535, description="port that the playground binds")
    auth_file: Path | None = Field(
        None,
        description="who may open it: `name:sha256-hex` a line, as in api_keys_file, which may be"
        " named here too; needed for a bind beyond loopback",
    )
    api_key_file: Path | None = Field(
        None, description="the plain API key that it sends to a gateway which wants one"
    )
    gateway_url: str = Field(
        "", description="where the gateway is; default: at [service] host and port"
    )
