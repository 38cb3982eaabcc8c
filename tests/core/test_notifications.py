"""The rules of notifications: who hears, quiet hours across changes of the clock, what is many."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from borne.core.notifications import (
    COOL_DOWN_MS,
    DAY_MINUTES,
    EVENTS,
    MANY_WITHIN_MS,
    MINUTE_MS,
    RETURN_GRACE_MS,
    Recipient,
    Wish,
    counts_from_ms,
    is_news,
    is_quiet,
    left_together,
    many_least,
    offered,
    quiet_until_ms,
    wish,
)
from borne.core.scope import Role, Scope

PARIS = ZoneInfo("Europe/Paris")
ZONES = ("Europe/Paris", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "UTC")


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).astimezone(UTC).timestamp() * 1000)


def scope(role: Role = "admin", **more: object) -> Scope:
    fields = {"person_id": 1, "person_name": "Ali", "organisation_id": 1, "role": role, "plan": "business"}
    return Scope(**(fields | more))  # type: ignore[arg-type]


# ---- quiet hours


@pytest.mark.parametrize(
    ("now", "end"),
    [
        ("2026-01-10T23:30+01:00", "2026-01-11T07:00+01:00"),  # over midnight
        ("2026-01-11T06:59+01:00", "2026-01-11T07:00+01:00"),
        ("2026-01-11T07:00+01:00", None),
        ("2026-01-11T21:59+01:00", None),
        ("2026-01-11T22:00+01:00", "2026-01-12T07:00+01:00"),
        ("2026-03-28T22:10+01:00", "2026-03-29T07:00+02:00"),  # the night that is an hour shorter
        ("2026-10-24T22:10+02:00", "2026-10-25T07:00+01:00"),  # and the one that is longer
    ],
)
def test_a_night_ends_at_seven_on_the_wall(now: str, end: str | None) -> None:
    assert quiet_until_ms(at(now), PARIS, 22 * 60, 7 * 60) == (None if end is None else at(end))


def test_an_end_that_the_clock_jumps_over_comes_with_the_jump() -> None:
    assert quiet_until_ms(at("2026-03-29T01:15+01:00"), PARIS, 60, 150) == at("2026-03-29T03:00+02:00")


def test_an_end_that_comes_twice_counts_the_first_time_and_again() -> None:
    assert quiet_until_ms(at("2026-10-25T01:15+02:00"), PARIS, 60, 150) == at("2026-10-25T02:30+02:00")
    assert quiet_until_ms(at("2026-10-25T02:10+01:00"), PARIS, 60, 150) == at("2026-10-25T02:30+01:00")


def test_who_set_none_has_none() -> None:
    assert quiet_until_ms(at("2026-01-10T23:30+01:00"), PARIS, None, None) is None
    assert quiet_until_ms(at("2026-01-10T23:30+01:00"), PARIS, 600, 600) is None, "from ten to ten is no time at all"


@given(
    st.integers(at("2026-01-01T00:00+00:00"), at("2027-01-01T00:00+00:00")),
    st.sampled_from(ZONES),
    st.integers(0, DAY_MINUTES - 1),
    st.integers(0, DAY_MINUTES - 1),
)
@example(at("2026-03-29T01:15+01:00"), "Europe/Paris", 60, 150)
@example(at("2026-10-25T02:15+01:00"), "Europe/Paris", 60, 150)
@example(at("2026-04-05T01:45+11:00"), "Australia/Lord_Howe", 90, 110)
def test_all_is_quiet_until_the_end_and_not_at_it(now_ms: int, name: str, start: int, until: int) -> None:
    zone = ZoneInfo(name)
    end_ms = quiet_until_ms(now_ms, zone, start, until)
    if end_ms is None:
        assert not is_quiet(now_ms, zone, start, until)
        return
    assert now_ms < end_ms <= now_ms + 26 * 60 * MINUTE_MS
    assert not is_quiet(end_ms, zone, start, until)
    step_ms = max(MINUTE_MS, (end_ms - now_ms) // 50)
    assert all(is_quiet(one, zone, start, until) for one in range(now_ms, end_ms, step_ms))
    assert is_quiet(end_ms - 1, zone, start, until)


# ---- many


@pytest.mark.parametrize(("chargers", "least"), [(1, 3), (3, 3), (15, 3), (16, 4), (100, 20), (101, 21), (2000, 400)])
def test_many_is_three_or_a_fifth(chargers: int, least: int) -> None:
    assert many_least(chargers) == least


def test_only_those_that_left_within_two_minutes_left_together() -> None:
    starts = [1000, 2000, 1000 + MANY_WITHIN_MS]
    assert left_together(starts, 1000, 10)
    assert not left_together([*starts[:2], starts[2] + 1], 1000, 10)
    assert not left_together(starts, 1001, 10), "one was gone before"
    assert not left_together(starts, 1000, 16), "three of sixteen are not many"


# ---- troubles


@pytest.mark.parametrize(
    ("before", "now", "news"),
    [
        ("ready", "offline", True), ("offline", "ready", True), ("charging", "fault", True), ("fault", "offline", True),
        ("ready", "charging", False), ("never", "ready", False), ("offline", "offline", False),
        ("offline", "restarting", False), ("ready", "restarting", False), ("restarting", "offline", True),
        ("restarting", "ready", True),
    ],
)  # fmt: skip
def test_what_begins_or_ends_a_trouble(before: str, now: str, news: bool) -> None:
    assert is_news(before, now) is news


def test_a_trouble_counts_later_after_our_own_loss_and_after_a_message() -> None:
    assert counts_from_ms(1000, None, ours=False) == 1000
    assert counts_from_ms(1000, None, ours=True) == 1000 + RETURN_GRACE_MS
    assert counts_from_ms(1000, 900, ours=False) == 900 + COOL_DOWN_MS
    assert counts_from_ms(900 + COOL_DOWN_MS + 5, 900, ours=False) == 900 + COOL_DOWN_MS + 5


# ---- who


def test_defaults_and_own_rules() -> None:
    assert wish("super-admin", "restart_failed", None) == Wish(True, True, 30)
    assert wish("operator", "charger_offline", None) == Wish(True, False, 30)
    assert wish("operator", "charger_offline", Wish(False, True, 5)) == Wish(False, True, 5)
    assert not wish("user", "charger_offline", None).wanted
    assert wish("user", "charger_offline", Wish(True, False)).wanted
    assert not wish("user", "restart_failed", Wish(True, True)).wanted, "a rule of a former role opens nothing"
    assert offered("admin") == EVENTS
    assert offered("user") == ("charger_offline", "charger_faulted")


def test_nobody_hears_of_what_they_do_not_reach() -> None:
    ali = Recipient(scope=scope(location_ids=(4,)), email="a@b.test")
    assert ali.hears_of("charger_offline", location_id=4, charger_id=9)
    assert not ali.hears_of("charger_offline", location_id=5, charger_id=9)
    uma = Recipient(scope=scope("user", charger_ids=(9,)), email="u@b.test", own={"charger_offline": Wish(True, True)})
    assert uma.hears_of("charger_offline", location_id=5, charger_id=9)
    assert not uma.hears_of("charger_offline", location_id=5, charger_id=8)
    assert not uma.hears_of("many_offline", location_id=5, charger_id=None)
