"""Instants as chargers write them."""

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from borne.ocpp.times import instant_ms, print_instant

NOON_MS = 1_795_348_800_000  # 2026-11-22T12:00:00Z


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-22T12:00:00Z", NOON_MS),
        ("2026-11-22T12:00:00.250Z", NOON_MS + 250),
        ("2026-11-22T12:00:00.2504999Z", NOON_MS + 250),
        ("2026-11-22T12:00:00", NOON_MS),  # S6 naive: taken as UTC
        ("2026-11-22 12:00:00", NOON_MS),
        ("2026-11-22T13:00:00+0100", NOON_MS),
        ("2026-11-22T13:00:00+01", NOON_MS),
        ("2026-11-22T13:00:00 +01:00", NOON_MS),
        ("2026-11-22T12:00:00 UTC", NOON_MS),
        ("2026-11-22T11:59:60Z", NOON_MS),  # S6 :60
        ("2026-11-23T02:00:00+14:00", NOON_MS),  # S6
        ("2026-11-22t12:00:00z", NOON_MS),
        ("1970-01-01T00:00:10Z", 10_000),  # S6: what the device's clock says, beside the time of receipt
        ("9999-12-31T23:59:59-14:00", None),
        ("0001-01-01T00:00:00+14:00", None),
        ("222222017-01-01T00:00:00Z", None),
        ("2026-02-30T00:00:00Z", None),
        ("2026-11-22T25:00:00Z", None),
        ("yesterday", None),
        ("", None),
        (None, None),
        (1_795_348_800, None),
        ("2" * 500, None),
    ],
)
def test_s6_instants(text: object, expected: int | None) -> None:
    assert instant_ms(text) == expected


def test_printed_instants_are_utc_with_a_z() -> None:
    assert print_instant(NOON_MS + 7) == "2026-11-22T12:00:00.007Z"


@given(st.integers(0, 253_402_300_799_999))
@settings(max_examples=200, deadline=None)
def test_what_is_printed_reads_back(at_ms: int) -> None:
    assert instant_ms(print_instant(at_ms)) == at_ms


@given(st.text(max_size=40) | st.datetimes(timezones=st.just(UTC)).map(datetime.isoformat))
@settings(max_examples=200, deadline=None)
def test_no_text_raises(text: str) -> None:
    found = instant_ms(text)
    assert found is None or 0 <= found <= 253_402_300_799_999
