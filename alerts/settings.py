"""Settings of section `[alerts]`: who is told what, when and how. Secrets come from files only."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from alerts.labels import parse_matcher
from alerts.model import Severity
from alerts.phrases import check_overrides
from alerts.quiet import parse_hours
from alerts.receivers import Receiver
from alerts.zone import zone_of

_STRICT = ConfigDict(extra="forbid", frozen=True)


class Route(BaseModel):
    """Which alerts go to which receivers; the first match ends the search unless `continue`."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    severity: tuple[Severity, ...] = Field((), description="empty: every severity")
    matchers: tuple[str, ...] = Field(
        (), description='all must match: alertname=~"Gpu.*", host=gpu-1, team!=search'
    )
    hours: str = Field("", description="local hours in which it applies: 08:00-18:00")
    days: tuple[str, ...] = Field((), description="days on which it applies: mon, tue, …")
    receivers: tuple[str, ...] = Field(min_length=1, description="names of receivers")
    go_on: bool = Field(False, alias="continue", description="look at later routes as well")
    group_by: tuple[str, ...] = Field(
        ("incident",), description="labels that make one message; incident: the object that broke"
    )
    group_wait_s: float = Field(2.0, ge=0, le=600, description="wait for what follows the first")
    group_interval_s: float = Field(10.0, ge=0, le=3600, description="between two updates")
    repeat_interval_s: float = Field(
        4 * 3600.0, ge=60, description="tell again what fires and nobody acknowledged"
    )
    escalate_to: tuple[str, ...] = Field(
        (), description="receivers told when nobody acknowledges a critical alert"
    )
    escalate_after_s: float = Field(900.0, ge=1, description="how long that may take")

    @field_validator("matchers")
    @classmethod
    def _matchers(cls, texts: tuple[str, ...]) -> tuple[str, ...]:
        for text in texts:
            parse_matcher(text)
        return texts

    @model_validator(mode="after")
    def _times(self) -> Route:
        if self.days and not self.hours:
            raise ValueError("days need hours, such as 00:00-24:00")
        if self.hours:
            parse_hours(self.hours, self.days)
        return self


class QuietSettings(BaseModel):
    """Section `[alerts.quiet]`: held back until the end of the hours, then told as one digest."""

    model_config = _STRICT

    hours: str = Field("", description="local hours: 22:00-07:00; empty: none")
    days: tuple[str, ...] = Field((), description="days on which they start; empty: every day")
    severity: tuple[Severity, ...] = Field(
        (Severity.WARNING, Severity.INFO), description="what is held back"
    )

    @model_validator(mode="after")
    def _times(self) -> QuietSettings:
        if self.hours:
            parse_hours(self.hours, self.days)
        return self


class FlapSettings(BaseModel):
    """Section `[alerts.flap]`: an alert that changes too often becomes one Flapping alert."""

    model_config = _STRICT

    changes: int = Field(6, ge=3, le=32, description="status changes that make it flapping")
    window_s: float = Field(600.0, gt=0, description="within this time")
    quiet_s: float = Field(180.0, gt=0, description="without a change for so long, it is over")


class HeartbeatSettings(BaseModel):
    """Section `[alerts.heartbeat]`: a URL pinged while the watchdog is healthy."""

    model_config = _STRICT

    url: str = Field("", description="where to ping; empty: nowhere")
    url_file: Path | None = Field(None, description="file with the URL, when it is a secret")
    method: Literal["GET", "POST", "HEAD"] = "GET"
    interval_s: float = Field(60.0, ge=1, le=3600, description="between two pings")
    allow_insecure: bool = Field(False, description="http and private addresses are allowed")
    ca_file: Path | None = Field(None, description="PEM authorities to trust instead of system's")
    proxy: str = Field("", description="URL of an HTTP proxy")
    timeout_s: float = Field(10.0, gt=0, le=60, description="limit of one try")


class AlertSettings(BaseModel):
    """Section `[alerts]`."""

    model_config = _STRICT

    receivers: tuple[Receiver, ...] = Field((), max_length=32)
    routes: tuple[Route, ...] = Field(
        (), max_length=200, description="empty: every receiver gets warning and critical"
    )
    language: Literal["en", "zh"] = Field("en", description="language of messages")
    words: dict[str, str] = Field(
        default_factory=dict,
        description="own wording: title.ReplicaHung, next.GpuLost, label.where",
    )
    timezone: str = Field("", description="IANA name such as Asia/Shanghai; empty: the host's own")
    quiet: QuietSettings = QuietSettings()
    flap: FlapSettings = FlapSettings()
    heartbeat: HeartbeatSettings = HeartbeatSettings()
    allow_hosts: tuple[str, ...] = Field(
        (), description="when not empty, the only hosts that receivers may be on"
    )
    external_url: str = Field("", description="where people reach this watchdog's status page")
    dashboard_url: str = Field("", description="where people find the Grafana dashboard")
    runbook_url: str = Field(
        "",
        description="base of the runbooks' URLs: <base>/<alert name>.md; empty: those that the"
        " watchdog serves below external_url",
    )
    delivery_failing_s: float = Field(
        300.0, ge=10, description="raise AlertDeliveryFailing when a receiver fails for so long"
    )

    @field_validator("words")
    @classmethod
    def _words(cls, words: dict[str, str]) -> dict[str, str]:
        check_overrides(words)
        return words

    @field_validator("timezone")
    @classmethod
    def _zone(cls, name: str) -> str:
        zone_of(name)
        return name

    @model_validator(mode="before")
    @classmethod
    def _runbooks(cls, given: Any) -> Any:
        external = given.get("external_url") if isinstance(given, dict) else None
        if isinstance(external, str) and external and not given.get("runbook_url"):
            return {**given, "runbook_url": f"{external.rstrip('/')}/runbooks"}
        return given

    @model_validator(mode="after")
    def _names(self) -> AlertSettings:
        names = [receiver.name for receiver in self.receivers]
        doubled = sorted({name for name in names if names.count(name) > 1})
        if doubled:
            raise ValueError(f"receivers with the same name: {', '.join(doubled)}")
        wanted = {name for route in self.routes for name in (*route.receivers, *route.escalate_to)}
        wanted |= {receiver.fallback for receiver in self.receivers if receiver.fallback}
        unknown = sorted(wanted - set(names))
        if unknown:
            raise ValueError(f"unknown receivers: {', '.join(unknown)}; known: {', '.join(names)}")
        for receiver in self.receivers:
            if receiver.fallback == receiver.name:
                raise ValueError(f"receiver {receiver.name} is its own fallback")
        return self
