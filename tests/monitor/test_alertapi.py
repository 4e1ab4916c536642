from __future__ import annotations

from http import HTTPStatus

import pytest

from alerts.database import Database
from alerts.desk import Desk
from monitor import alertapi

WANTED = {
    "matchers": ["host=gpu-1", "alertname=~Gpu.*"],
    "duration": "2h",
    "author": "ada",
    "comment": "moving the rack",
}


@pytest.fixture
def desk(tmp_path):
    database = Database(tmp_path / "journal.db")
    yield Desk(database, lambda: 1000.0)
    database.close()


def test_a_silence_is_added_listed_and_ended(desk):
    code, body = alertapi.order(desk, ["silences"], WANTED)
    made = body["silence"]
    listed = alertapi.read(desk, ["silences"])[1]["silences"]
    ended = alertapi.order(desk, ["silences", made["id"], "expire"], {})

    assert code is HTTPStatus.CREATED
    assert listed == [made]
    assert made["matchers"] == ['host="gpu-1"', 'alertname=~"Gpu.*"']
    assert (made["author"], made["ends_at"]) == ("ada", 1000.0 + 7200.0)
    assert ended[0] is HTTPStatus.OK
    assert alertapi.read(desk, ["silences"])[1] == {"silences": []}


@pytest.mark.parametrize(
    ("change", "named"),
    [
        pytest.param({"matchers": []}, "m", id="none at all is maintenance, and must be said"),
        pytest.param({"matchers": ["host"]}, "host", id="not a matcher"),
        pytest.param({"matchers": "host=a"}, "matchers", id="not a list"),
        pytest.param({"duration": "soon"}, "soon", id="not a duration"),
        pytest.param({"author": ""}, "author", id="nobody"),
        pytest.param({"comment": 1}, "comment", id="no reason"),
    ],
)
def test_what_is_wrong_is_named_and_nothing_is_added(desk, change, named):
    code, body = alertapi.order(desk, ["silences"], {**WANTED, **change})

    assert code is HTTPStatus.BAD_REQUEST
    assert named in body["error"]
    assert alertapi.read(desk, ["silences"])[1] == {"silences": []}


def test_an_incident_that_does_not_fire_cannot_be_taken(desk):
    code, _ = alertapi.order(desk, ["incidents", "7", "ack"], {"author": "ada"})

    assert code is HTTPStatus.NOT_FOUND


@pytest.mark.parametrize("parts", [["silences", "x"], ["incidents"], ["moon"], []])
def test_other_paths_are_not_found(desk, parts):
    assert alertapi.order(desk, parts, {})[0] is HTTPStatus.NOT_FOUND


def test_without_receivers_it_says_so():
    assert "no alert receivers" in alertapi.order(None, ["silences"], WANTED)[1]["error"]
    assert alertapi.read(None, ["silences"])[0] is HTTPStatus.NOT_FOUND
