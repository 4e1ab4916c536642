"""Settings of section `[alerts]`: who is told what, and how. Secrets come from files only."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from alerts.model import Severity

_STRICT = ConfigDict(extra="forbid", frozen=True)


class _Receiver(BaseModel):
    """What every receiver has."""

    model_config = _STRICT

    name: str = Field(min_length=1, max_length=100, description="names it in routes and reports")
    allow_insecure: bool = Field(
        False, description="http and private addresses are allowed only when true"
    )
    ca_file: Path | None = Field(None, description="PEM authorities to trust instead of system's")
    proxy: str = Field("", description="URL of an HTTP proxy")
    timeout_s: float = Field(10.0, gt=0, le=60, description="limit of one try")


class WebhookReceiver(_Receiver):
    """Any HTTP endpoint: Alertmanager's version-4 body, signed with HMAC-SHA256."""

    type: Literal["webhook"] = "webhook"
    url: str = Field("", description="where to post")
    url_file: Path | None = Field(None, description="file with the URL, when the URL is a secret")
    secret_file: Path | None = Field(None, description="file with the signing secret")
    headers: dict[str, str] = Field(default_factory=dict, description="sent with every post")

    @model_validator(mode="after")
    def _one_url(self) -> WebhookReceiver:
        if bool(self.url) == (self.url_file is not None):
            raise ValueError(f"receiver {self.name}: exactly one of url and url_file is needed")
        return self


class MemoryReceiver(_Receiver):
    """Keeps messages in this process: for tests and dry runs."""

    type: Literal["memory"] = "memory"


Receiver = Annotated[WebhookReceiver | MemoryReceiver, Field(discriminator="type")]


class Route(BaseModel):
    """Which alerts go to which receivers; the first match ends the search unless `continue`."""

    model_config = _STRICT

    severity: tuple[Severity, ...] = Field((), description="empty: every severity")
    receivers: tuple[str, ...] = Field(min_length=1, description="names of receivers")


class AlertSettings(BaseModel):
    """Section `[alerts]`."""

    model_config = _STRICT

    receivers: tuple[Receiver, ...] = Field((), max_length=32)
    routes: tuple[Route, ...] = Field(
        (), description="empty: every receiver gets warning and critical"
    )
    allow_hosts: tuple[str, ...] = Field(
        (), description="when not empty, the only hosts that receivers may be on"
    )
    external_url: str = Field("", description="where people reach this watchdog's status page")

    @model_validator(mode="after")
    def _names(self) -> AlertSettings:
        names = [receiver.name for receiver in self.receivers]
        doubled = sorted({name for name in names if names.count(name) > 1})
        if doubled:
            raise ValueError(f"receivers with the same name: {', '.join(doubled)}")
        wanted = {name for route in self.routes for name in route.receivers}
        unknown = sorted(wanted - set(names))
        if unknown:
            raise ValueError(f"routes name unknown receivers: {', '.join(unknown)}")
        return self
