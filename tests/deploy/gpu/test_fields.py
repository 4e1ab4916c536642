"""What nvidia-smi's words mean, and when two readings agree."""

from __future__ import annotations

import pytest

from deploy.gpu import fields
from deploy.gpu.fields import ROWS, Match, compare, number
from monitor.gpu import Card, CardSample, Field
from monitor.model import Unavailable, Why

CARD = Card("GPU-1", 0, "H100", "00000000:04:00.0")


def sample(**values):
    return CardSample(CARD, {Field(name): value for name, value in values.items()})


def compared(field, before, texts, after):
    found = compare(sample(**{field: before}), texts, sample(**{field: after}))
    return next(one for one in found if one.row.field.value == field)


def test_every_reading_has_its_row_and_says_why_it_may_differ():
    assert [row.field for row in ROWS] == list(Field)
    assert all(row.why for row in ROWS)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        pytest.param("81559", 81559, id="without a unit"),
        pytest.param("81559 MiB", 81559, id="with a unit"),
        pytest.param("70.52 W", 70.52, id="decimals"),
        pytest.param("-5 C", -5, id="below zero"),
        pytest.param("16x", 16, id="lanes"),
        pytest.param("0x0000000000000005", 5, id="bits"),
        pytest.param("No", 0, id="no"),
        pytest.param("Not Active", 0, id="not active is not active"),
        pytest.param("Enabled", 1, id="enabled"),
        pytest.param("None", 0, id="no recovery is needed"),
        pytest.param("Drain and Reset", 4, id="recovery"),
        pytest.param("N/A", None, id="not available"),
        pytest.param("[N/A]", None, id="not available, in a table"),
        pytest.param("[Not Supported]", None, id="not supported"),
        pytest.param("Requested functionality has been deprecated", None, id="deprecated"),
        pytest.param("ERR!", None, id="an error is no number"),
    ],
)
def test_a_text_is_read_as_the_number_that_it_says(text, value):
    assert number(text) == value


@pytest.mark.parametrize(
    ("field", "before", "texts", "after", "match"),
    [
        pytest.param(
            "temperature_celsius", 40, {"temperature.gpu": "41"}, 42, Match.SAME, id="between"
        ),
        pytest.param(
            "temperature_celsius", 40, {"temperature.gpu": "38"}, 40, Match.SAME, id="in tolerance"
        ),
        pytest.param(
            "temperature_celsius", 40, {"temperature.gpu": "43"}, 40, Match.DIFFERS, id="outside"
        ),
        pytest.param(
            "memory_total_bytes",
            80 * 2**30,
            {"memory.total": "81920"},
            80 * 2**30,
            Match.SAME,
            id="units are made alike",
        ),
        pytest.param(
            "memory_total_bytes",
            80e9,
            {"memory.total": "80000"},
            80e9,
            Match.DIFFERS,
            id="MB taken for MiB is found",
        ),
        pytest.param(
            "utilization_ratio",
            0.5,
            {"utilization.gpu": "50"},
            0.5,
            Match.SAME,
            id="percent and ratio",
        ),
        pytest.param(
            "utilization_ratio",
            0.5,
            {"utilization.gpu": "90"},
            0.5,
            Match.DIFFERS,
            id="another ratio",
        ),
        pytest.param(
            "clock_event_reasons",
            1,
            {"clocks_event_reasons.active": "0x0000000000000004"},
            8,
            Match.DIFFERS,
            id="bits have no between",
        ),
        pytest.param(
            "clock_event_reasons",
            1,
            {"clocks_throttle_reasons.active": "0x0000000000000001"},
            4,
            Match.SAME,
            id="the name of older drivers",
        ),
        pytest.param(
            "ecc_uncorrected_volatile",
            3,
            {
                "/ecc_errors/volatile/sram_uncorrectable_parity": "1",
                "/ecc_errors/volatile/sram_uncorrectable_secded": "0",
                "/ecc_errors/volatile/dram_uncorrectable": "2",
            },
            3,
            Match.SAME,
            id="a counter that newer drivers split",
        ),
        pytest.param(
            "power_watts", 70, {"power.draw": "[N/A]"}, 70, Match.ONLY_OURS, id="only ours"
        ),
        pytest.param("energy_joules", 1, {}, 2, Match.NOT_PRINTED, id="not printed"),
        pytest.param(
            "power_watts",
            Unavailable(Why.FAILED),
            {"power.draw": "70"},
            Unavailable(Why.FAILED),
            Match.ONLY_THEIRS,
            id="a reading that we lack",
        ),
        pytest.param(
            "retired_pages_pending",
            Unavailable(Why.NOT_SUPPORTED),
            {"retired_pages.pending": "[N/A]"},
            Unavailable(Why.NOT_SUPPORTED),
            Match.LACKED_BY_BOTH,
            id="supported by neither",
        ),
    ],
)
def test_two_witnesses_agree_or_not(field, before, texts, after, match):
    assert compared(field, before, texts, after).match is match


def test_what_differs_and_what_we_lack_is_bad_and_nothing_else():
    assert {Match.DIFFERS, Match.ONLY_THEIRS} == fields.BAD


def test_keys_for_a_query_are_not_paths():
    assert "memory.used" in fields.query_keys()
    assert not [key for key in fields.query_keys() if "/" in key or key.startswith("nvlink")]
