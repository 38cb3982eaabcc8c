"""Sums of a period, for statements: of whole months, and of the days at its ends, which are added or taken away."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Literal

from sqlalchemy import (
    BigInteger,
    BindParameter,
    ColumnElement,
    Select,
    Subquery,
    Table,
    bindparam,
    func,
    select,
    union_all,
)

from borne.core.scope import Scope
from borne.core.statistics import Days, Parts, first_day, month_of, parts_of
from borne.store.db import Reader
from borne.store.schema import charger_days, charger_months, location_days, location_months, person_days, person_months

MONTHS = {location_days: location_months, charger_days: charger_months, person_days: person_months}
Key = Literal["month", "year", "location_id", "charger_id", "person_id"]
FoundBy = Literal["location_id", "charger_id", "person_id"]
Conditions = Callable[[Table], list[ColumnElement[bool]]]
organisation_id: BindParameter[int] = bindparam("organisation_id")

_newest_day = (
    select(location_days.c.day)
    .where(location_days.c.organisation_id == organisation_id)
    .order_by(location_days.c.day.desc())
    .limit(1)
)


async def values_of(db: Reader, scope: Scope, days: Table, from_day: int, until_day: int) -> dict[str, Any]:
    """What the statements made of `summed` want to know of a period."""
    newest = await db.value(_newest_day, {"organisation_id": scope.organisation_id}, fast=True)
    if until_day > (newest or 0):  # nothing is later: the month is as good as whole
        until_day = first_day(month_of(until_day - 1) + 1)
    parts = parts_of(from_day, max(from_day, until_day), adds_only=days is location_days)
    return {"organisation_id": scope.organisation_id, **_values(parts)}


def _values(parts: Parts) -> dict[str, int]:
    found = {"from_month": parts.from_month, "until_month": parts.until_month}
    for name, end in (("head", parts.head), ("tail", parts.tail)):
        found |= {f"{name}_{field}": value for field, value in _fields(end)}
    return found


def _fields(end: Days) -> Iterable[tuple[str, int]]:
    return ("from", end.from_day), ("until", end.until_day), ("month", end.month), ("sign", end.sign)


def summed(
    days: Table, key: Key | None, names: Iterable[str], conditions: Conditions, found_by: FoundBy | None = None
) -> Subquery:
    """Up to three rows of each key, to be added up: key, the sums of `names`, and of whole locations `peak_wh`.

    `conditions` of the table that it is given, of months or of days; `found_by` the column of which they name few values. Values:
    those of `values_of`.
    """
    names, months = tuple(names), MONTHS[days]
    parts = [_part(months, key, months.c.month, names, None, conditions)]
    parts += [_part(days, key, _int(f"{end}_month"), names, end, conditions) for end in ("head", "tail")]
    hints = [hinted(part, table, found_by) for part, table in zip(parts, (months, days, days), strict=True)]
    return union_all(*hints).subquery("parts")


def hinted(statement: Select[Any], table: Table, found_by: FoundBy | None) -> Select[Any]:
    """Have SQLite, which keeps no statistics of these tables, look up the few rows instead of walking through the period."""
    time = "day" if "day" in table.c else "month"
    if found_by is None or list(table.primary_key)[1].name == found_by:
        return statement
    return statement.with_hint(
        table, f"INDEXED BY {table.name}_organisation_id_{found_by}_{time}", dialect_name="sqlite"
    )


def total(parts: Subquery, name: str) -> ColumnElement[int]:
    """A number of `summed` added up."""
    return func.coalesce(func.sum(parts.c[name]), 0).cast(BigInteger).label(name)


def _part(
    table: Table,
    key: Key | None,
    month: ColumnElement[int],
    names: Iterable[str],
    end: str | None,
    conditions: Conditions,
) -> Select[Any]:
    """The whole months, or the days at an end: those lie in one month."""
    if end is None:
        time, from_, until = table.c.month, "from_month", "until_month"
    else:
        time, from_, until = table.c.day, f"{end}_from", f"{end}_until"
    sums = [func.sum(table.c[name]).cast(BigInteger) for name in names]
    numbers = [
        (one if end is None else one * _int(f"{end}_sign")).label(name) for name, one in zip(names, sums, strict=True)
    ]
    if "peak_wh" in table.c:
        numbers.append(func.max(table.c.peak_wh).label("peak_wh"))
    chosen: Any = select(*numbers)  # as many columns as there are names
    statement: Select[Any] = chosen.where(
        table.c.organisation_id == organisation_id, time >= _int(from_), time < _int(until), *conditions(table)
    )
    if key is None:
        return statement
    if key in ("month", "year"):
        statement = statement.add_columns((month if key == "month" else month // 12 + 1970).label("key"))
        return statement.group_by(table.c.month) if end is None else statement
    return statement.add_columns(table.c[key].label("key")).group_by(table.c[key])


def _int(name: str) -> BindParameter[int]:
    return bindparam(name, type_=BigInteger)
