"""Statistics as pages ask for them: sums over periods, hours of the week, places and people, inside a scope.

Each question reads the smallest tables that can answer it: those of locations; those of chargers where chargers are chosen; those
of people for one person, and for a user, whose scope is what they charged themselves. A period is whole months and the days at
its ends (store.period_sums).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Literal

import msgspec
from sqlalchemy import BigInteger, ColumnElement, Select, Subquery, Table, bindparam, func, select

from borne.core.scope import Scope
from borne.core.statistics import SUMS
from borne.store.db import Reader, Row
from borne.store.period_sums import FoundBy, Key, hinted, organisation_id, summed, total, values_of
from borne.store.schema import (
    access_group_chargers,
    charger_days,
    chargers,
    energy_prices,
    location_days,
    location_hours,
    location_slots,
    locations,
    organisation_hours,
    people,
    person_days,
)

Group = Literal["all", "day", "month", "year", "location", "charger", "person"]
KEYS: dict[Group, Key | None] = {
    "all": None,
    "month": "month",
    "year": "year",
    "location": "location_id",
    "charger": "charger_id",
    "person": "person_id",
}
RANKED = 50


class Chosen(msgspec.Struct, frozen=True, kw_only=True):
    """What is counted. Days are numbers since 1970-01-01, in each location's own zone; `until_day` is not among them.

    A person cannot be chosen together with a charger or an access group: no sums are kept of both.
    """

    from_day: int
    until_day: int
    location_id: int | None = None
    charger_id: int | None = None
    person_id: int | None = None
    access_group_id: int | None = None


class _Shape(msgspec.Struct, frozen=True):
    """What a statement looks like, its values left aside."""

    group: Group
    location: bool
    charger: bool
    person: bool
    access_group: bool
    locations: bool  # only some of the organisation's


async def sums(db: Reader, scope: Scope, chosen: Chosen) -> Row:
    """One row: SUMS, and peak_wh where whole locations are counted."""
    (found,) = await _asked(db, scope, chosen, "all")
    return found


async def by_day(db: Reader, scope: Scope, chosen: Chosen) -> list[Row]:
    """key (the day), SUMS, peak_wh; days without a session are not among them. Of some months at most: it reads all days."""
    return await _asked(db, scope, chosen, "day")


async def by_month(db: Reader, scope: Scope, chosen: Chosen) -> list[Row]:
    """key (months since January 1970), SUMS, peak_wh, of the days of the period; months without a session are not among them."""
    return await _asked(db, scope, chosen, "month")


async def by_year(db: Reader, scope: Scope, chosen: Chosen) -> list[Row]:
    """key (the year), SUMS, peak_wh, of the days of the period; years without a session are not among them."""
    return await _asked(db, scope, chosen, "year")


async def by_location(db: Reader, scope: Scope, chosen: Chosen, most: int = RANKED) -> list[Row]:
    """key (the location's id), name, SUMS, peak_wh; the most energy first."""
    return await _asked(db, scope, chosen, "location", most)


async def by_charger(db: Reader, scope: Scope, chosen: Chosen, most: int = RANKED) -> list[Row]:
    """key (the charger's id), name (None: it is gone), SUMS; the most energy first."""
    return await _asked(db, scope, chosen, "charger", most)


async def by_person(db: Reader, scope: Scope, chosen: Chosen, most: int = RANKED) -> list[Row]:
    """key (the person's id), name, SUMS; the most energy first."""
    return await _asked(db, scope, chosen, "person", most)


async def _asked(db: Reader, scope: Scope, chosen: Chosen, group: Group, most: int | None = None) -> list[Row]:
    person_id = scope.person_id if scope.role == "user" else chosen.person_id
    shape = _Shape(
        group,
        chosen.location_id is not None,
        chosen.charger_id is not None,
        person_id is not None,
        chosen.access_group_id is not None,
        scope.location_ids is not None,
    )
    table = _table(shape)
    if group == "day":
        period = {"organisation_id": scope.organisation_id, "from_day": chosen.from_day, "until_day": chosen.until_day}
    else:
        period = await values_of(db, scope, table, chosen.from_day, chosen.until_day)
    more = {
        "location_id": chosen.location_id,
        "charger_id": chosen.charger_id,
        "person_id": person_id,
        "access_group_id": chosen.access_group_id,
        "location_ids": None if scope.location_ids is None else list(scope.location_ids),
        "most": most,
    }
    return await db.all(_statement(shape), period | {name: value for name, value in more.items() if value is not None})


def _table(shape: _Shape) -> Table:
    is_of_people, is_of_chargers = shape.person or shape.group == "person", shape.charger or shape.access_group
    if is_of_people and (is_of_chargers or shape.group == "charger"):
        raise ValueError("there are no sums of a person at a charger")
    if is_of_people:
        return person_days
    return charger_days if is_of_chargers or shape.group == "charger" else location_days


@lru_cache(maxsize=128)
def _statement(shape: _Shape) -> Select[Any]:
    table = _table(shape)
    if shape.group == "day":
        return _by_day(shape, table)
    if shape.group in ("charger", "person"):
        return _ranked(shape, table)
    parts = summed(table, KEYS[shape.group], SUMS, lambda some: _conditions(shape, some), _found_by(shape, table))
    whole: Any = select(*_numbers(parts))
    statement: Select[Any] = whole
    if shape.group == "all":
        return statement
    statement = statement.add_columns(parts.c.key).group_by(parts.c.key).having(_is_any(parts))
    if shape.group == "location":
        energy_wh = statement.selected_columns.energy_wh
        return _named(statement.order_by(energy_wh.desc(), parts.c.key).limit(_most()).subquery("ranked"), "location")
    return statement.order_by(parts.c.key)


def _by_day(shape: _Shape, table: Table) -> Select[Any]:
    numbers = [func.sum(table.c[name]).cast(BigInteger).label(name) for name in SUMS]
    if "peak_wh" in table.c:
        numbers.append(func.max(table.c.peak_wh).label("peak_wh"))
    day = table.c.day
    period = (table.c.organisation_id == organisation_id, day >= bindparam("from_day"), day < bindparam("until_day"))
    statement = select(day.label("key"), *numbers).where(*period, *_conditions(shape, table))
    return hinted(statement.group_by(day).order_by(day), table, _found_by(shape, table))


def _ranked(shape: _Shape, table: Table) -> Select[Any]:
    """Of thousands those with the most energy are found by that alone; then all their numbers are read."""
    key: FoundBy = "charger_id" if shape.group == "charger" else "person_id"
    narrow = summed(
        table,
        key,
        ("energy_wh", "plugged_ms", "sessions"),
        lambda some: _conditions(shape, some),
        _found_by(shape, table),
    )
    energy_wh = total(narrow, "energy_wh")
    chosen = select(narrow.c.key).group_by(narrow.c.key).having(_is_any(narrow))
    first = chosen.order_by(energy_wh.desc(), narrow.c.key).limit(_most()).cte("first")
    parts = summed(
        table, key, SUMS, lambda some: [*_conditions(shape, some), some.c[key].in_(select(first.c.key))], key
    )
    return _named(select(parts.c.key, *_numbers(parts)).group_by(parts.c.key).subquery("ranked"), shape.group)


def _numbers(parts: Subquery) -> list[ColumnElement[int]]:
    numbers = [total(parts, name) for name in SUMS]
    return [*numbers, func.max(parts.c.peak_wh).label("peak_wh")] if "peak_wh" in parts.c else numbers


def _is_any(parts: Subquery) -> ColumnElement[bool]:
    """What has nothing left when days were taken away is not there."""
    return func.sum(parts.c.energy_wh + parts.c.plugged_ms + parts.c.sessions) > 0


def _most() -> ColumnElement[int]:
    return bindparam("most", type_=BigInteger)


def _found_by(shape: _Shape, table: Table) -> FoundBy | None:
    """By what few rows are found."""
    if table is person_days:
        return "person_id" if shape.person else None
    if table is charger_days:
        return "charger_id" if shape.charger or shape.access_group else None
    return "location_id" if shape.location or shape.locations else None


def _conditions(shape: _Shape, table: Table) -> list[ColumnElement[bool]]:
    """Which rows of a table of sums count."""
    c = table.c
    found: list[ColumnElement[bool]] = []
    if shape.location:
        found.append(c.location_id == bindparam("location_id"))
    if shape.locations:
        found.append(c.location_id.in_(bindparam("location_ids", expanding=True)))
    if shape.person:
        found.append(c.person_id == bindparam("person_id"))
    if shape.charger:
        found.append(c.charger_id == bindparam("charger_id"))
    if shape.access_group:
        mine = select(access_group_chargers.c.charger_id).where(
            access_group_chargers.c.organisation_id == organisation_id,
            access_group_chargers.c.access_group_id == bindparam("access_group_id"),
        )
        found.append(c.charger_id.in_(mine))
    return found


def _named(ranked: Subquery, group: Group) -> Select[Any]:
    """The groups with their names, the most energy first."""
    names, condition = {
        "location": (locations, locations.c.organisation_id == organisation_id),
        "charger": (chargers, chargers.c.organisation_id == organisation_id),
        "person": (people, None),
    }[group]
    on = names.c.id == ranked.c.key
    if condition is not None:
        on = on & condition
    return (
        select(*ranked.c, names.c.name.label("name"))
        .select_from(ranked.outerjoin(names, on))
        .order_by(ranked.c.energy_wh.desc(), ranked.c.key)
    )


# ---- hours of the week, and one day ------------------------------------------------------------------------------------


@lru_cache(maxsize=8)
def _hours(one: bool, some: bool) -> Select[Any]:
    c = (location_hours if one or some else organisation_hours).c
    conditions = [
        c.organisation_id == organisation_id,
        c.month >= bindparam("from_month"),
        c.month < bindparam("until_month"),
    ]
    if one:
        conditions.append(c.location_id == bindparam("location_id"))
    if some:
        conditions.append(c.location_id.in_(bindparam("location_ids", expanding=True)))
    numbers = [func.sum(c[name]).cast(BigInteger).label(name) for name in SUMS]
    return select(c.hour, *numbers).where(*conditions).group_by(c.hour).order_by(c.hour)


async def by_hour_of_week(
    db: Reader, scope: Scope, from_month: int, until_month: int, location_id: int | None = None
) -> list[Row]:
    """hour (from Monday midnight, local), SUMS; months since January 1970. Not for users: it counts everybody."""
    values: dict[str, Any] = {
        "organisation_id": scope.organisation_id,
        "from_month": from_month,
        "until_month": until_month,
    }
    if location_id is not None:
        values["location_id"] = location_id
    if scope.location_ids is not None:
        values["location_ids"] = list(scope.location_ids)
    return await db.all(_hours(location_id is not None, scope.location_ids is not None), values)


@lru_cache(maxsize=8)
def _slots(one: bool, some: bool) -> Select[Any]:
    c = location_slots.c
    conditions = [
        c.organisation_id == bindparam("organisation_id"),
        c.slot_ms >= bindparam("from_ms"),
        c.slot_ms < bindparam("until_ms"),
    ]
    if one:
        conditions.append(c.location_id == bindparam("location_id"))
    if some:
        conditions.append(c.location_id.in_(bindparam("location_ids", expanding=True)))
    numbers = [func.sum(c[name]).label(name) for name in SUMS]
    return select(c.slot_ms, *numbers).where(*conditions).group_by(c.slot_ms).order_by(c.slot_ms)


async def by_slot(db: Reader, scope: Scope, from_ms: int, until_ms: int, location_id: int | None = None) -> list[Row]:
    """slot_ms, SUMS of the quarters of an hour between two instants. Not for users: it counts everybody."""
    values: dict[str, Any] = {"organisation_id": scope.organisation_id, "from_ms": from_ms, "until_ms": until_ms}
    if location_id is not None:
        values["location_id"] = location_id
    if scope.location_ids is not None:
        values["location_ids"] = list(scope.location_ids)
    return await db.all(_slots(location_id is not None, scope.location_ids is not None), values)


# ---- currencies ----------------------------------------------------------------------------------------------------------

_currencies = (
    select(energy_prices.c.currency)
    .where(energy_prices.c.organisation_id == bindparam("organisation_id"))
    .group_by(energy_prices.c.currency)
    .order_by(func.count().desc(), energy_prices.c.currency)
    .limit(5)
)


async def currencies(db: Reader, organisation_id: int) -> list[str]:
    """The currencies in which an organisation pays for energy, the usual one first. Sums over several mean nothing."""
    return [row.currency for row in await db.all(_currencies, {"organisation_id": organisation_id})]
