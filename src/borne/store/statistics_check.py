"""What `borne admin verify-statistics` reads: sessions as they are counted, tables of sums by pages, months beside their days."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from functools import lru_cache
from typing import Any

import msgspec
from sqlalchemy import BigInteger, BindParameter, Select, Table, bindparam, func, or_, select, tuple_, union_all

from borne.core.statistics import SUMS
from borne.store.db import Reader, Row
from borne.store.period_sums import MONTHS
from borne.store.schema import (
    charger_days,
    location_days,
    location_hours,
    location_months,
    location_slots,
    organisation_hours,
    person_days,
    sessions,
)

PAGE = 2_000
# The keys of each table, in the order of core.statistics.Changes.
KEYS: dict[Table, tuple[str, ...]] = {
    location_slots: ("location_id", "slot_ms"),
    location_days: ("location_id", "day"),
    location_hours: ("location_id", "month", "hour"),
    charger_days: ("charger_id", "location_id", "day"),
    person_days: ("person_id", "location_id", "day"),
}
_organisation_id: BindParameter[int] = bindparam("organisation_id")
_sessions = (
    select(
        sessions.c.id, sessions.c.charger_id, sessions.c.location_id, sessions.c.measured_person_id, sessions.c.zone,
        sessions.c.begun_ms, sessions.c.over_ms, sessions.c.energy_wh,
    )
    .where(sessions.c.organisation_id == _organisation_id, sessions.c.id > bindparam("after_id"), sessions.c.measured > 0)
    .order_by(sessions.c.id)
    .limit(bindparam("most"))
)  # fmt: skip
_ends = select(func.min(location_months.c.month), func.max(location_months.c.month)).where(
    location_months.c.organisation_id == _organisation_id
)


class Sums(msgspec.Struct, frozen=True):
    """A row of a table of sums: the values of its KEYS, and of SUMS."""

    table: str
    key: tuple[int, ...]
    values: tuple[int, ...]


async def sessions_after(db: Reader, organisation_id: int, after_id: int, most: int) -> list[Row]:
    """id, charger_id, location_id, measured_person_id, zone, begun_ms, over_ms, energy_wh of measured sessions, oldest first."""
    return await db.all(_sessions, {"organisation_id": organisation_id, "after_id": after_id, "most": most})


@lru_cache(maxsize=8)
def _page(table: Table, goes_on: bool) -> Select[Any]:
    """A page in the order of the primary key."""
    order = [column for column in table.primary_key.columns if column.name != "organisation_id"]
    found: Any = select(*(table.c[name] for name in (*KEYS[table], *SUMS)))
    statement: Select[Any] = found.where(table.c.organisation_id == _organisation_id)
    if goes_on:
        last = tuple_(*(bindparam(f"last_{column.name}", type_=BigInteger) for column in order))
        statement = statement.where(tuple_(*order) > last)
    return statement.order_by(*order).limit(bindparam("most", type_=BigInteger))


async def sums_of(db: Reader, organisation_id: int, table: Table) -> AsyncIterator[list[Sums]]:
    """All rows of an organisation, a page at a time."""
    last: dict[str, int] = {}
    while True:
        rows = await db.all(_page(table, bool(last)), {"organisation_id": organisation_id, "most": PAGE, **last})
        keys = len(KEYS[table])
        yield [Sums(table.name, tuple(row[:keys]), tuple(row[keys:])) for row in rows]
        if len(rows) < PAGE:
            return
        last = {f"last_{name}": value for name, value in zip(KEYS[table], rows[-1], strict=False)}


# ---- months beside days --------------------------------------------------------------------------------------------------


async def months(db: Reader, organisation_id: int) -> range:
    """The months of an organisation."""
    found = await db.first(_ends, {"organisation_id": organisation_id})
    return range(0) if found is None or found[0] is None else range(found[0], found[1] + 1)


@lru_cache(maxsize=8)
def _apart(days: Table) -> Select[Any]:
    """Keys of which the month is not the sum of its days, and by how much it is too high; of the highest slot the same."""
    table = MONTHS[days]
    keys = [column.name for column in days.primary_key.columns if column.name not in ("organisation_id", "day")]
    peaks = [name for name in ("peak_wh",) if name in days.c]

    def part(of: Table, sign: int, *conditions: Any) -> Select[Any]:
        numbers = [(of.c[name] * sign).label(name) for name in SUMS]
        sides = [(name, side) for name in peaks for side in (table, days)]
        numbers += [(of.c[name] if of is side else of.c[name] * 0).label(f"{side.name}_{name}") for name, side in sides]
        return select(*(of.c[name] for name in keys), *numbers).where(
            of.c.organisation_id == _organisation_id, *conditions
        )

    both = union_all(
        part(table, 1, table.c.month == bindparam("month")),
        part(days, -1, days.c.day >= bindparam("from_day"), days.c.day < bindparam("until_day")),
    ).subquery("both")
    sums = [func.sum(both.c[name]).cast(BigInteger).label(name) for name in SUMS]
    differ = [one != 0 for one in sums]
    for name in peaks:
        above = func.max(both.c[f"{table.name}_{name}"]) - func.max(both.c[f"{days.name}_{name}"])
        sums.append(above.cast(BigInteger).label(name))
        differ.append(above != 0)
    by = [both.c[name] for name in keys]
    found: Any = select(*by, *sums)
    statement: Select[Any] = found.group_by(*by)
    return statement.having(or_(*differ)).order_by(*by).limit(bindparam("most"))


@lru_cache(maxsize=1)
def _hours_apart() -> Select[Any]:
    """The same of the hours of a week of an organisation, and of its locations."""
    h, o = location_hours.c, organisation_hours.c
    both = union_all(
        select(o.hour, *(o[name] for name in SUMS)).where(
            o.organisation_id == _organisation_id, o.month == bindparam("month")
        ),
        select(h.hour, *((h[name] * -1).label(name) for name in SUMS)).where(
            h.organisation_id == _organisation_id, h.month == bindparam("month")
        ),
    ).subquery("both")
    sums = [func.sum(both.c[name]).cast(BigInteger).label(name) for name in SUMS]
    found: Any = select(both.c.hour, *sums)
    statement: Select[Any] = found.group_by(both.c.hour)
    return statement.having(or_(*(one != 0 for one in sums))).order_by(both.c.hour).limit(bindparam("most"))


async def months_apart(
    db: Reader, organisation_id: int, month: int, from_day: int, until_day: int, most: int
) -> list[tuple[str, dict[str, int], dict[str, int]]]:
    """Where a month is not the sum of its days: table, key, and by how much each number is too high; `most` of a table."""
    found = []
    values = {
        "organisation_id": organisation_id,
        "month": month,
        "from_day": from_day,
        "until_day": until_day,
        "most": most,
    }
    for days, table in MONTHS.items():
        for row in await db.all(_apart(days), values):
            found.append((table.name, *_split(row._asdict())))
    hours = {"organisation_id": organisation_id, "month": month, "most": most}
    found += [("organisation_hours", *_split(row._asdict())) for row in await db.all(_hours_apart(), hours)]
    return found


def _split(row: dict[str, int]) -> tuple[dict[str, int], dict[str, int]]:
    keys = {name: value for name, value in row.items() if name in ("location_id", "charger_id", "person_id", "hour")}
    return keys, {name: value for name, value in row.items() if name not in keys and value}


def tables() -> Sequence[Table]:
    """Those that are compared with sessions."""
    return tuple(KEYS)


def names_of(table: str) -> Iterator[str]:
    """What its keys are called."""
    yield from next(keys for known, keys in KEYS.items() if known.name == table)
