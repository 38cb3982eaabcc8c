"""Statistics as pages ask for them: sums over days, hours of the week, places and people, inside a scope.

Each question reads the smallest table that can answer it: days of locations; days of chargers where chargers are chosen; days of
people for one person, and for a user, whose scope is what they charged themselves.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Literal

import msgspec
from sqlalchemy import ColumnElement, Select, Table, bindparam, func, select

from borne.core.scope import Scope
from borne.core.statistics import SUMS
from borne.store.db import Reader, Row
from borne.store.schema import (
    access_group_chargers,
    charger_days,
    chargers,
    energy_prices,
    location_days,
    location_hours,
    location_slots,
    locations,
    people,
    person_days,
)
from borne.store.tenancy import beside

Group = Literal["all", "day", "location", "charger", "person"]
RANKED = 50


class Chosen(msgspec.Struct, frozen=True, kw_only=True):
    """What is counted. Days are numbers since 1970-01-01, in each location's own zone; `until_day` is not among them."""

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
    found = await db.first(*_asked(scope, chosen, "all"))
    assert found is not None
    return found


async def by_day(db: Reader, scope: Scope, chosen: Chosen) -> list[Row]:
    """key (the day), SUMS, peak_wh; days without a session are not among them."""
    return await db.all(*_asked(scope, chosen, "day"))


async def by_location(db: Reader, scope: Scope, chosen: Chosen) -> list[Row]:
    """key (the location's id), name, SUMS, peak_wh; the most energy first."""
    return await db.all(*_asked(scope, chosen, "location"))


async def by_charger(db: Reader, scope: Scope, chosen: Chosen) -> list[Row]:
    """key (the charger's id), name (None: it is gone), SUMS; the most energy first, RANKED of them."""
    return await db.all(*_asked(scope, chosen, "charger"))


async def by_person(db: Reader, scope: Scope, chosen: Chosen) -> list[Row]:
    """key (the person's id), name, SUMS; the most energy first, RANKED of them."""
    return await db.all(*_asked(scope, chosen, "person"))


def _asked(scope: Scope, chosen: Chosen, group: Group) -> tuple[Select[Any], dict[str, Any]]:
    person_id = scope.person_id if scope.role == "user" else chosen.person_id
    shape = _Shape(
        group,
        chosen.location_id is not None,
        chosen.charger_id is not None,
        person_id is not None,
        chosen.access_group_id is not None,
        scope.location_ids is not None,
    )
    values: dict[str, Any] = {
        "organisation_id": scope.organisation_id,
        "from_day": chosen.from_day,
        "until_day": chosen.until_day,
    }
    for name, value in (
        ("location_id", chosen.location_id),
        ("charger_id", chosen.charger_id),
        ("person_id", person_id),
        ("access_group_id", chosen.access_group_id),
        ("location_ids", None if scope.location_ids is None else list(scope.location_ids)),
    ):
        if value is not None:
            values[name] = value
    return _statement(shape), values


@lru_cache(maxsize=128)
def _statement(shape: _Shape) -> Select[Any]:
    table = _table(shape)
    numbers = [func.coalesce(func.sum(table.c[name]), 0).label(name) for name in SUMS]
    if table is location_days:
        numbers.append(func.max(table.c.peak_wh).label("peak_wh"))
    statement = select(*numbers).where(*_conditions(shape, table))
    if shape.group == "all":
        return statement
    if shape.group == "day":
        day = _day(shape, table)
        return select(day.label("key"), *numbers).where(*_conditions(shape, table)).group_by(day).order_by(day)
    key = table.c[{"location": "location_id", "charger": "charger_id", "person": "person_id"}[shape.group]]
    statement = select(key.label("key"), *numbers).where(*_conditions(shape, table)).group_by(key)
    return _named(statement, shape.group)


def _table(shape: _Shape) -> Table:
    if shape.person or shape.group == "person":
        return person_days
    if shape.charger or shape.access_group or shape.group == "charger":
        return charger_days
    return location_days


def _day(shape: _Shape, table: Table) -> ColumnElement[int]:
    """The day. Of some chargers all rows are looked up by them, instead of the days of all chargers being walked."""
    is_of_some = table is charger_days and (shape.charger or shape.access_group)
    return beside(table.c.day) if is_of_some else table.c.day


def _conditions(shape: _Shape, table: Table) -> list[ColumnElement[bool]]:
    c = table.c
    day = _day(shape, table)
    found = [
        c.organisation_id == bindparam("organisation_id"),
        day >= bindparam("from_day"),
        day < bindparam("until_day"),
    ]
    if shape.location:
        found.append(c.location_id == bindparam("location_id"))
    if shape.locations:
        found.append(c.location_id.in_(bindparam("location_ids", expanding=True)))
    if shape.person:
        found.append(c.person_id == bindparam("person_id"))
    if shape.charger and table is charger_days:
        found.append(c.charger_id == bindparam("charger_id"))
    if shape.access_group and table is charger_days:
        mine = select(access_group_chargers.c.charger_id).where(
            access_group_chargers.c.organisation_id == bindparam("organisation_id"),
            access_group_chargers.c.access_group_id == bindparam("access_group_id"),
        )
        found.append(c.charger_id.in_(mine))
    return found


def _named(statement: Select[Any], group: Group) -> Select[Any]:
    """The groups with their names, the most energy first."""
    found = statement.order_by(statement.selected_columns.energy_wh.desc(), statement.selected_columns.key)
    found = found.limit(RANKED)
    ranked = found.subquery("ranked")
    names, condition = {
        "location": (locations, (locations.c.organisation_id == bindparam("organisation_id"))),
        "charger": (chargers, (chargers.c.organisation_id == bindparam("organisation_id"))),
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
    c = location_hours.c
    conditions = [
        c.organisation_id == bindparam("organisation_id"),
        c.month >= bindparam("from_month"),
        c.month < bindparam("until_month"),
    ]
    if one:
        conditions.append(c.location_id == bindparam("location_id"))
    if some:
        conditions.append(c.location_id.in_(bindparam("location_ids", expanding=True)))
    numbers = [func.sum(c[name]).label(name) for name in SUMS]
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
