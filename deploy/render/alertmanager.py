"""Alertmanager: the receivers of the configuration, as far as Alertmanager knows their kind."""

from __future__ import annotations

from dataclasses import dataclass

from alerts.receivers import (
    AlertmanagerReceiver,
    DiscordReceiver,
    PagerDutyReceiver,
    Receiver,
    SlackReceiver,
    WebhookReceiver,
)
from alerts.settings import AlertSettings
from deploy.config import Config
from deploy.render.artefact import Artefact
from deploy.render.host import Site
from deploy.render.rules.book import alert_rules
from deploy.render.template import fill

NOBODY = "nobody"


@dataclass(frozen=True, slots=True)
class NativeReceiver:
    """A receiver as Alertmanager has it: `<kind>_configs` with one entry of `fields`."""

    name: str
    kind: str
    fields: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class NotNative:
    """A receiver that Alertmanager cannot have, and why."""

    name: str
    why: str


@dataclass(frozen=True, slots=True)
class Branch:
    """One route; `matcher` as Alertmanager writes it."""

    matcher: str
    receiver: str
    go_on: bool


def alertmanager(config: Config, _site: Site) -> list[Artefact]:
    """The configuration file; secrets stay in the files that rankguard.toml names."""
    known: list[NativeReceiver] = []
    left_out: list[NotNative] = []
    for receiver in config.alerts.receivers:
        item = translate(receiver)
        (known if isinstance(item, NativeReceiver) else left_out).append(item)  # type: ignore[arg-type]
    text = fill(
        "alertmanager/alertmanager.yml",
        receivers=known,
        left_out=[(item.name, item.why) for item in left_out],
        default=known[0].name if known else NOBODY,
        routes=branches(config.alerts, known),
        backups=_backups(config),
    )
    return [Artefact("alertmanager.yml", text)]


def translate(receiver: Receiver) -> NativeReceiver | NotNative:
    """One of our receivers as Alertmanager 0.25 and newer take it."""
    if isinstance(receiver, WebhookReceiver):
        return _at_url(receiver.name, "webhook", "url", receiver.url)
    if isinstance(receiver, DiscordReceiver):
        return _at_url(receiver.name, "discord", "webhook_url", receiver.url)
    if isinstance(receiver, SlackReceiver):
        in_file = ("api_url_file", str(receiver.url_file))
        field = ("api_url", receiver.url) if receiver.url else in_file
        return NativeReceiver(receiver.name, "slack", (field,))
    if isinstance(receiver, PagerDutyReceiver):
        key = ("routing_key_file", str(receiver.routing_key_file))
        return NativeReceiver(receiver.name, "pagerduty", (key,))
    if isinstance(receiver, AlertmanagerReceiver):
        return NotNative(receiver.name, "it is Alertmanager itself")
    return NotNative(receiver.name, f"Alertmanager does not speak {receiver.type}")


def branches(settings: AlertSettings, known: list[NativeReceiver]) -> list[Branch]:
    """Our routes by severity; a route to several receivers becomes several that go on."""
    names = {item.name for item in known}
    made = []
    for route in settings.routes:
        if route.matchers or route.hours:
            continue  # by what only the watchdog's alerts have, or by Alertmanager's own intervals
        severities = "|".join(item.value for item in route.severity) or ".+"
        chosen = [name for name in route.receivers if name in names]
        for position, name in enumerate(chosen):
            go_on = route.go_on or position < len(chosen) - 1
            made.append(Branch(f'severity=~"{severities}"', name, go_on))
    if not settings.routes:
        made = [Branch('severity=~"critical|warning"', item.name, True) for item in known]
    return made


def _backups(config: Config) -> list[dict[str, object]]:
    """Rules that repeat one of the watchdog's alerts, when those come to Alertmanager as well."""
    if not any(isinstance(item, AlertmanagerReceiver) for item in config.alerts.receivers):
        return []
    return [
        {"name": rule.name, "same_as": rule.same_as, "equal": ("host", *rule.about)}
        for rule in alert_rules(config)
        if rule.same_as
    ]


def _at_url(name: str, kind: str, key: str, url: str) -> NativeReceiver | NotNative:
    if not url:
        return NotNative(name, f"Alertmanager 0.25 reads no file for a {kind}'s URL")
    return NativeReceiver(name, kind, ((key, url),))
