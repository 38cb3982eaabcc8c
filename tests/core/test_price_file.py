"""Files of prices: what each of them means, and each line that is wrong by its name."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from borne.core.metering_slots import HOUR_MS, SLOT_MS
from borne.core.price_file import LINES_MOST, Problem, read


def ms(text: str) -> int:
    return round(datetime.fromisoformat(text).astimezone(UTC).timestamp() * 1_000)


T0 = ms("2026-03-01T00:00+01:00")


def test_hours_become_four_quarters_and_the_last_lasts_as_the_one_before() -> None:
    found = read("start,price\n2026-03-01T00:00+01:00,0.0812\n2026-03-01T01:00+01:00,-0.01\n")
    assert found.slots == tuple((T0 + n * SLOT_MS, 81_200 if n < 4 else -10_000) for n in range(8))


def test_quarters_stay_quarters_and_a_gap_stays_a_gap_after_an_hour() -> None:
    text = "START;Price\n2026-03-01T00:00+01:00;0,1\n2026-03-01T00:15+01:00;0,2\n2026-03-01T06:00+01:00;0,3\n"
    slots = dict(read(text).slots)
    assert slots == {
        T0: 100_000,
        **{T0 + n * SLOT_MS: 200_000 for n in (1, 2, 3, 4)},
        **{T0 + 6 * HOUR_MS + n * SLOT_MS: 300_000 for n in range(4)},
    }


def test_json_with_an_end() -> None:
    text = '[{"start":"2026-03-01T00:00+01:00","end":"2026-03-01T00:30+01:00","price":0.1}]'
    assert read(text).slots == ((T0, 100_000), (T0 + SLOT_MS, 100_000))


def test_the_hour_that_comes_twice_is_told_apart_by_its_offset() -> None:
    found = read("start,price\n2026-10-25T02:00+02:00,0.1\n2026-10-25T02:00+01:00,0.3\n")
    assert [micros for _, micros in found.slots] == [100_000] * 4 + [300_000] * 4


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("2026-03-01T00:00,1", "offset"),
        ("2026-03-01T00:07Z,1", "quarter"),
        ("yesterday,1", "start"),
        ("9999-03-01T00:00Z,1", "start"),
        ("0001-01-01T00:00+23:59,1", "start"),
        ("2026-03-01T00:00Z,cheap", "price"),
        ("2026-03-01T00:00Z,0.1234567", "price"),
        ("2026-03-01T00:00Z," + "9" * 30, "price"),
        ("2026-03-01T00:00Z,1e3", "price"),
        ("2026-03-01T00:00Z,", "price"),
        ("2026-03-01T00:00Z,1,2", "cells"),
        ("2026-03-05T00:00Z,3", "twice"),
    ],
)
def test_a_wrong_line_is_named_and_nothing_is_taken(line: str, word: str) -> None:
    found = read(f"start,price\n2026-03-05T00:00Z,1\n{line}\n")
    assert found.slots == ()
    assert (found.problems[0].line, found.problems[0].word) == (3, word)


@pytest.mark.parametrize(
    ("text", "word"),
    [("", "empty"), ("start,price\n", "empty"), ("a,b\n1,2", "header"), ("[{", "json"), ("[" * 99_999, "json"),
     ("start,price\n" + "2026-03-01T00:00Z,1\n" * (LINES_MOST + 5), "large")],
)  # fmt: skip
def test_a_wrong_file_is_named(text: str, word: str) -> None:
    assert [problem.word for problem in read(text).problems] == [word]


def test_an_entry_of_json_is_named_by_its_number() -> None:
    text = (
        '[{"start":"2026-03-01T00:00Z","price":0.1},{"start":"2026-03-01T01:00Z","end":"2026-03-01T01:00Z","price":1}]'
    )
    assert read(text).problems == (Problem(2, "end", "2026-03-01T01:00Z"),)
    assert read('[{"price":true,"start":"2026-03-01T01:00Z"}]').problems[0].word == "price"
