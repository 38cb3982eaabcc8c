"""Sessions: a start told from its retry, a stop from its repetition, and what never got a stop."""

from __future__ import annotations

from typing import Any

import pytest

from borne.core.facts import SessionEnded, SessionStarted
from borne.core.session import MAX_CONFLICTS, NO_STOP_RECEIVED, SessionRow, ended, start_key, superseded
from tests.support.tale import CHARGER, ms


def started(**said: Any) -> SessionStarted:
    usual = {"epoch": 1, "evse": 1, "connector": 1, "tag": "AA11", "transaction": None}
    more = {"device_ms": ms(0), "meter_start_wh": 100, "at_ms": ms(1)}
    return SessionStarted(charger_id=CHARGER, **{**usual, **more, **said})  # type: ignore[arg-type]


def stopped(**said: Any) -> SessionEnded:
    usual = {"epoch": 1, "transaction": "5", "meter_stop_wh": 900, "reason": "Local", "raw": "{}"}
    more = {"device_ms": ms(100), "at_ms": ms(101)}
    return SessionEnded(charger_id=CHARGER, **{**usual, **more, **said})  # type: ignore[arg-type]


def row(**known: Any) -> SessionRow:
    return SessionRow(**{"id": 1, "evse": 1, "connector": 1, "transaction": "5", "started_ms": ms(1), **known})


def test_a_retry_of_a_start_is_the_same_start_whenever_and_on_whatever_link_it_comes() -> None:
    assert start_key(started()) == start_key(started(at_ms=ms(500), epoch=9, raw="other", new_transaction=77))


@pytest.mark.parametrize(
    "other",
    [{"evse": 2}, {"connector": 2}, {"tag": "BB"}, {"tag": None}, {"device_ms": ms(9)}, {"meter_start_wh": 101}],
)
def test_another_connector_tag_time_or_meter_is_another_start(other: dict[str, Any]) -> None:
    assert start_key(started()) != start_key(started(**other))


def test_a_tag_is_the_same_in_any_case() -> None:
    assert start_key(started(tag="aa11")) == start_key(started(tag="AA11"))


def test_with_a_transaction_id_of_its_own_that_is_the_key() -> None:
    assert start_key(started(transaction="T1")) == start_key(started(transaction="T1", device_ms=None, tag=None))
    assert start_key(started(transaction="T1")) != start_key(started(transaction="T2"))


def test_a_start_closes_what_was_open_on_its_connector() -> None:
    mine, others = row(id=1, transaction="5"), row(id=2, transaction="6", connector=2)
    (closed,) = superseded(started(transaction="9", at_ms=ms(50)), [mine, others])
    assert (closed.id, closed.ended_ms, closed.end_reason) == (1, ms(50), NO_STOP_RECEIVED)


def test_a_start_does_not_close_itself() -> None:
    assert superseded(started(transaction="5"), [row(transaction="5")]) == []


def test_the_first_stop_ends_it() -> None:
    after = ended(row(), stopped())
    assert (after.ended_ms, after.device_ended_ms, after.meter_stop_wh, after.end_reason) == (
        ms(101),
        ms(100),
        900,
        "Local",
    )


def test_a_stop_repeated_with_the_same_values_is_one_stop() -> None:
    once = ended(row(), stopped())
    assert ended(once, stopped(at_ms=ms(400), raw="again")) == once


def test_a_stop_with_other_values_keeps_the_first_and_the_conflict() -> None:
    once = ended(row(), stopped())
    twice = ended(once, stopped(meter_stop_wh=950, raw='{"meterStop":950}'))
    assert (twice.meter_stop_wh, twice.conflicts) == (900, ('{"meterStop":950}',))
    assert ended(twice, stopped(meter_stop_wh=950, raw='{"meterStop":950}')) == twice


def test_conflicts_are_bounded() -> None:
    after = ended(row(), stopped())
    for number in range(100):
        after = ended(after, stopped(meter_stop_wh=1000 + number, raw=str(number)))
    assert len(after.conflicts) == MAX_CONFLICTS


def test_a_late_stop_is_taken_by_what_was_closed_without_one() -> None:
    closed = row(ended_ms=ms(60), end_reason=NO_STOP_RECEIVED)
    after = ended(closed, stopped())
    assert (after.meter_stop_wh, after.end_reason, after.conflicts) == (900, "Local", ())


def test_a_stop_without_values_ends_it_all_the_same() -> None:
    after = ended(row(), stopped(meter_stop_wh=None, device_ms=None, reason=None))
    assert after.ended_ms == ms(101)
    assert (after.meter_stop_wh, after.end_reason) == (None, "")


def test_a_stop_after_a_boot_that_ended_it_too_early_moves_the_end() -> None:
    closed = row(ended_ms=ms(50), end_reason=NO_STOP_RECEIVED)
    assert ended(closed, stopped()).ended_ms == ms(101), "it went on"
    assert ended(closed, stopped(device_ms=ms(40))).ended_ms == ms(50)
    assert ended(closed, stopped(device_ms=ms(10**9))).ended_ms == ms(50), "a clock that cannot be"
