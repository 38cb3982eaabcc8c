"""The bill against an oracle in fractions."""

from __future__ import annotations

import random
from datetime import date, timedelta
from fractions import Fraction
from math import floor

import pytest

from borne.core.bill import BilledDay, bill, bills, day_of, days_in, next_month_ms, start_ms


def random_month(rng: random.Random) -> list[BilledDay]:
    """Days of one month with changes, gaps and late ones, as a year of use might leave them."""
    first = date(rng.randint(2024, 2031), rng.randint(1, 12), 1)
    plan, chargers, price_cents, late, days = "basic", rng.randint(0, 9), 0, False, []
    for number in range(days_in(first)):
        if rng.random() < 0.2:
            plan, price_cents = rng.choice([("basic", 0), ("standard", 400), ("business", 901), ("business", 17)])
        if rng.random() < 0.3:
            chargers = rng.choice([0, 1, 2, 7, 100_000, rng.randint(0, 10**6)])
        late = rng.random() < 0.2
        if rng.random() < 0.9:
            days.append(BilledDay(first + timedelta(days=number), plan, chargers, price_cents, late))
    return days or [BilledDay(first, plan, chargers, price_cents)]


def test_a_month_costs_what_an_exact_oracle_says_and_its_lines_add_up() -> None:
    rng = random.Random(7)
    for _ in range(300):
        days = random_month(rng)
        made = bill(days)
        exact = sum((Fraction(one.chargers * one.price_cents, days_in(one.day)) for one in days), Fraction(0))
        assert made.total_cents == floor(exact + Fraction(1, 2))
        assert sum(line.amount_cents for line in made.stretches) == made.total_cents
        for line in made.stretches:
            of_line = Fraction(
                line.chargers * line.price_cents * ((line.last - line.first).days + 1), days_in(line.first)
            )
            assert abs(line.amount_cents - of_line) <= 1
        assert sum((line.last - line.first).days + 1 for line in made.stretches) == len(days)


def test_a_whole_month_costs_its_price() -> None:
    for month, number in (
        (date(2027, 2, 1), 28),
        (date(2028, 2, 1), 29),
        (date(2026, 11, 1), 30),
        (date(2026, 12, 1), 31),
    ):
        days = [BilledDay(month + timedelta(days=n), "standard", 7, 401) for n in range(number)]
        made = bill(days)
        assert (made.total_cents, len(made.stretches), made.missing) == (7 * 401, 1, 0)


def test_stretches_end_where_anything_changes() -> None:
    days = [
        BilledDay(date(2026, 11, 1), "basic", 3, 0),
        BilledDay(date(2026, 11, 2), "basic", 3, 0),
        BilledDay(date(2026, 11, 3), "standard", 3, 400),
        BilledDay(date(2026, 11, 4), "standard", 4, 400),
        BilledDay(date(2026, 11, 5), "standard", 4, 500),
        BilledDay(date(2026, 11, 8), "standard", 4, 500),
        BilledDay(date(2026, 11, 9), "standard", 4, 500, late=True),
    ]
    made = bill(days)
    assert [(line.first.day, line.last.day) for line in made.stretches] == [
        (1, 2),
        (3, 3),
        (4, 4),
        (5, 5),
        (8, 8),
        (9, 9),
    ]
    assert made.missing == 2


def test_months_come_newest_first() -> None:
    days = [BilledDay(date(2026, month, 30), "business", 1, 900) for month in (9, 10, 11)]
    assert [one.month for one in bills(days)] == [date(2026, 11, 1), date(2026, 10, 1), date(2026, 9, 1)]
    assert bills([]) == []


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        (date(2026, 11, 22), date(2026, 12, 1)),
        (date(2026, 12, 31), date(2027, 1, 1)),
        (date(2028, 2, 1), date(2028, 3, 1)),
    ],
)
def test_next_month_begins_at_its_first_instant_utc(at: date, expected: date) -> None:
    assert next_month_ms(start_ms(at)) == start_ms(expected)
    assert next_month_ms(start_ms(expected) - 1) == start_ms(expected)
    assert day_of(next_month_ms(start_ms(at))) == expected
