"""The bill: what the days of a month add up to. Whole numbers throughout, rounded once at the end."""

from __future__ import annotations

import calendar
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from itertools import groupby

import msgspec

DAY_MS = 86_400_000


class BilledDay(msgspec.Struct, frozen=True):
    """One UTC day of an organisation: its plan and chargers as the day began, and the price then.

    `price_cents`: for a charger and a month. `late`: it was written down after the day, from what was known by then.
    """

    day: date
    plan: str
    chargers: int
    price_cents: int
    late: bool = False


class Stretch(msgspec.Struct, frozen=True):
    """Days in a row that were alike, and their part of the month's total."""

    first: date
    last: date
    plan: str
    chargers: int
    price_cents: int
    amount_cents: int
    late: bool


class Bill(msgspec.Struct, frozen=True):
    """A month: the amounts of its stretches add up to its total. `missing`: days up to its last one that nobody wrote down."""

    month: date  # its first day
    stretches: tuple[Stretch, ...]
    total_cents: int
    missing: int = 0


def bill(days: Iterable[BilledDay]) -> Bill:
    """The bill of one month's days, in order. Each costs chargers x price / days of the month; the sum is rounded half up.

    A stretch's amount is what it adds to the rounded sum so far, so that no cent is lost between the lines and the total.
    """
    known = list(days)
    month = known[0].day.replace(day=1)
    in_month = days_in(month)
    stretches: list[Stretch] = []
    parts = billed_cents = 0  # hundredths x days of the month, and what is billed of them
    for alike in _alike(known):
        first = alike[0]
        parts += len(alike) * first.chargers * first.price_cents
        up_to_cents = (2 * parts + in_month) // (2 * in_month)
        stretches.append(
            Stretch(
                first.day, alike[-1].day, first.plan, first.chargers, first.price_cents, up_to_cents - billed_cents,
                first.late,
            )
        )  # fmt: skip
        billed_cents = up_to_cents
    missing = (known[-1].day - known[0].day).days + 1 - len(known)
    return Bill(month, tuple(stretches), billed_cents, missing)


def bills(days: Iterable[BilledDay]) -> list[Bill]:
    """The bill of each month that has days, the newest first. `days` in order."""
    months = [bill(list(of_month)) for _, of_month in groupby(days, key=lambda one: one.day.replace(day=1))]
    return months[::-1]


def _alike(days: list[BilledDay]) -> list[list[BilledDay]]:
    """Runs of consecutive days that differ in nothing but the date."""
    runs: list[list[BilledDay]] = []
    for one in days:
        last = runs[-1][-1] if runs else None
        if last and one.day == last.day + timedelta(days=1) and _terms(one) == _terms(last):
            runs[-1].append(one)
        else:
            runs.append([one])
    return runs


def _terms(one: BilledDay) -> tuple[str, int, int, bool]:
    return one.plan, one.chargers, one.price_cents, one.late


def days_in(month: date) -> int:
    """How many days its month has."""
    return calendar.monthrange(month.year, month.month)[1]


def day_of(at_ms: int) -> date:
    """The UTC day of an instant."""
    return datetime.fromtimestamp(at_ms / 1_000, UTC).date()


def start_ms(day: date) -> int:
    """The first instant of a UTC day."""
    return (day - date(1970, 1, 1)).days * DAY_MS


def next_month_ms(at_ms: int) -> int:
    """The first instant of the UTC month after this one: when a downgrade comes."""
    month = day_of(at_ms).replace(day=1)
    return start_ms(month + timedelta(days=days_in(month)))
