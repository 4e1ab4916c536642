"""The `[alerts]` section: what is accepted, and what is said about what is not."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from alerts.model import Severity
from alerts.rules import courier_rules_of, rules_of
from alerts.settings import AlertSettings

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

HOOK = {"name": "oncall", "type": "webhook", "url": "https://hooks.example.com/x"}


def read(**given) -> AlertSettings:
    return AlertSettings.model_validate({"receivers": [HOOK], **given})


def test_nothing_at_all_is_a_working_default():
    assert rules_of(AlertSettings()).routes == ()


def test_without_routes_every_receiver_gets_warning_and_critical():
    (route,) = rules_of(read()).routes

    assert route.receivers == ("oncall",)
    assert route.severities == {Severity.WARNING, Severity.CRITICAL}


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"receivers": [{**HOOK, "color": "red"}]}, "color"),
        ({"receivers": [{**HOOK, "type": "pigeon"}]}, "pigeon"),
        ({"receivers": [HOOK, HOOK]}, "same name"),
        ({"receivers": [{**HOOK, "name": "a b"}]}, "name"),
        ({"receivers": [{**HOOK, "url_file": "/x"}]}, "exactly one"),
        ({"receivers": [{"name": "s", "type": "slack"}]}, "exactly one"),
        ({"receivers": [{**HOOK, "secret": "in the clear"}]}, "secret"),
        ({"receivers": [{**HOOK, "fallback": "oncall"}]}, "its own fallback"),
        ({"receivers": [{**HOOK, "fallback": "nobody"}]}, "nobody"),
        ({"routes": [{"receivers": ["nobody"]}]}, "nobody"),
        ({"routes": [{"receivers": []}]}, "receivers"),
        ({"routes": [{"receivers": ["oncall"], "escalate_to": ["nobody"]}]}, "nobody"),
        ({"routes": [{"receivers": ["oncall"], "matchers": ["nonsense"]}]}, "not a matcher"),
        ({"routes": [{"receivers": ["oncall"], "hours": "8 to 5"}]}, "not a range"),
        ({"routes": [{"receivers": ["oncall"], "days": ["mon"]}]}, "need hours"),
        ({"quiet": {"hours": "22:00-07:00", "days": ["someday"]}}, "not a day"),
        ({"timezone": "Mars/Olympus"}, "not a time zone"),
        ({"language": "fr"}, "language"),
        ({"words": {"title.GpuLots": "x"}}, "did you mean title.GpuLost"),
        (
            {"receivers": [{"name": "m", "type": "email", "server": "s", "tls": "none",
                            "sender": "a@b.c", "to": ["a@b.c"]}]},
            "allow_insecure",
        ),
        (
            {"receivers": [{"name": "m", "type": "email", "server": "s",
                            "sender": "a@b.c\r\nBcc: x@y.z", "to": ["a@b.c"]}]},
            "not an address",
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(given, says):
    with pytest.raises(ValidationError, match=says):
        read(**given)


def test_each_kind_has_its_vendors_rate_and_an_own_one_wins():
    settings = AlertSettings.model_validate(
        {
            "receivers": [
                {"name": "d", "type": "dingtalk", "url": "https://x.example"},
                {"name": "e", "type": "dingtalk", "url": "https://x.example", "per_minute": 5},
            ]
        }
    )
    vendor, own = (courier_rules_of(each).gate for each in settings.receivers)

    assert (vendor.per_minute, vendor.burst) == (15.0, 3)
    assert (own.per_minute, own.burst) == (5.0, 3)


def test_programs_get_each_message_and_people_a_digest_after_an_outage():
    settings = read(
        receivers=[HOOK, {"name": "s", "type": "slack", "url": "https://hooks.example.com/y"}]
    )
    program, person = (courier_rules_of(each) for each in settings.receivers)

    assert (program.digest_after_s, person.digest_after_s) == (0.0, 900.0)


def test_continue_is_written_as_in_alertmanager():
    settings = read(routes=[{"receivers": ["oncall"], "continue": True}])

    assert rules_of(settings).routes[0].go_on


def test_the_example_in_the_manual_is_accepted():
    manual = Path(__file__).parents[2] / "docs" / "alerts.md"
    (example,) = re.findall(r"```toml\n(.*?)```", manual.read_text(encoding="utf-8"), re.DOTALL)
    settings = AlertSettings.model_validate(tomllib.loads(example)["alerts"])

    assert [receiver.name for receiver in settings.receivers] == ["oncall", "team"]
