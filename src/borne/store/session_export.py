"""Sessions for files: everything a filter finds, newest first, in pages that follow ids. No page knows how many there are.

Either whole, with the names of what they belong to (`pages`), or bare, with those names beside them, each looked up once
(`bare_pages`): that is twice as fast.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from functools import lru_cache
from typing import Any

import msgspec
from sqlalchemy import BigInteger, ColumnElement, Select, and_, bindparam, func, or_, select

from borne.core.scope import Scope
from borne.store.db import Reader, Row
from borne.store.schema import archived_chargers, chargers, locations, memberships, organisations, people, sessions
from borne.store.session_list import Filter, Shape, asked_of, conditions
from borne.store.tenancy import across

PAGE_ROWS = 1_000
BARE_ROWS = 2_000
NAMES_MOST = 20_000  # of each kind in memory
S = sessions.c
_organisation_id: ColumnElement[int] = bindparam("organisation_id")
_columns = (
    S.id, S.charger_id, S.evse, S.connector, S.transaction, S.tag, S.started_ms, S.begun_ms, S.over_ms, S.ended_ms,
    S.end_reason, S.charging_ms, S.energy_wh, S.peak_w, S.cost_nanos, S.currency, S.suspects,
    func.coalesce(chargers.c.name, archived_chargers.c.name).label("charger"),
    func.coalesce(chargers.c.serial, archived_chargers.c.serial).label("serial"),
    locations.c.name.label("location"),
    func.coalesce(S.zone, locations.c.time_zone).label("zone"),
    people.c.name.label("person"),
    people.c.email.label("email"),
    memberships.c.role.label("role"),
)  # fmt: skip
_joined = (
    sessions.outerjoin(chargers, and_(chargers.c.id == S.charger_id, chargers.c.organisation_id == _organisation_id))
    .outerjoin(
        archived_chargers,
        and_(archived_chargers.c.id == S.charger_id, archived_chargers.c.organisation_id == _organisation_id),
    )
    .outerjoin(locations, and_(locations.c.id == S.location_id, locations.c.organisation_id == _organisation_id))
    .outerjoin(people, people.c.id == S.person_id)
    .outerjoin(
        memberships,
        and_(memberships.c.person_id == S.person_id, memberships.c.organisation_id == _organisation_id),
    )
)
COLUMNS = (
    "id", "charger_id", "location_id", "person_id", "evse", "connector", "tag", "started_ms", "begun_ms", "over_ms", "ended_ms",
    "end_reason", "charging_ms", "energy_wh", "peak_w", "cost_nanos", "currency", "suspects", "zone",
)  # fmt: skip
_ids: ColumnElement[list[int]] = bindparam("ids", expanding=True)
_chargers = select(chargers.c.id, chargers.c.name, chargers.c.serial).where(
    chargers.c.organisation_id == _organisation_id, chargers.c.id.in_(_ids)
)
_archived = select(archived_chargers.c.id, archived_chargers.c.name, archived_chargers.c.serial).where(
    archived_chargers.c.organisation_id == _organisation_id, archived_chargers.c.id.in_(_ids)
)
_locations = select(locations.c.id, locations.c.name, locations.c.time_zone).where(
    locations.c.organisation_id == _organisation_id, locations.c.id.in_(_ids)
)
_people = across(
    select(people.c.id, people.c.name, people.c.email, memberships.c.role)
    .select_from(
        people.outerjoin(
            memberships,
            and_(memberships.c.person_id == people.c.id, memberships.c.organisation_id == _organisation_id),
        )
    )
    .where(people.c.id.in_(_ids)),
    "the sessions that name these people were found inside the scope",
)
_organisation = select(organisations.c.name).where(organisations.c.id == _organisation_id)


@lru_cache(maxsize=256)
def _page(shape: Shape) -> Select[Any]:
    return _in_order(select(*_columns).select_from(_joined), shape)


@lru_cache(maxsize=256)
def _bare_page(shape: Shape) -> Select[Any]:
    return _in_order(select(*(S[name] for name in COLUMNS)), shape)


async def organisation_name(db: Reader, scope: Scope) -> str:
    """Of the scope's organisation."""
    return str(await db.value(_organisation, {"organisation_id": scope.organisation_id}))


class Names:
    """What the ids of sessions stand for: at least those of the page that came with it, and never very many."""

    def __init__(self) -> None:
        self.chargers: dict[int, tuple[str, str]] = {}  # name, serial
        self.locations: dict[int, tuple[str, str | None]] = {}  # name, time zone
        self.people: dict[int, tuple[str, str, str]] = {}  # name, e-mail, role

    def zone(self, location_id: int) -> str | None:
        """The time zone of a location."""
        found = self.locations.get(location_id)
        return None if found is None else found[1]

    async def learn(self, db: Reader, organisation_id: int, rows: Sequence[Row]) -> None:
        """Look up what is new on a page; an id that stands for nothing any more is asked for on each."""
        for known in (self.chargers, self.locations, self.people):
            if len(known) > NAMES_MOST:
                known.clear()
        wanted = {row[1] for row in rows} - self.chargers.keys()
        if wanted:
            values = {"organisation_id": organisation_id, "ids": sorted(wanted)}
            for statement in (_archived, _chargers):
                self.chargers |= {row[0]: (row[1], row[2]) for row in await db.all(statement, values)}
        wanted = {row[2] for row in rows} - self.locations.keys()
        if wanted:
            values = {"organisation_id": organisation_id, "ids": sorted(wanted)}
            self.locations |= {row[0]: (row[1], row[2]) for row in await db.all(_locations, values)}
        wanted = {row[3] for row in rows if row[3] is not None} - self.people.keys()
        if wanted:
            values = {"organisation_id": organisation_id, "ids": sorted(wanted)}
            self.people |= {row[0]: (row[1], row[2], row[3] or "") for row in await db.all(_people, values)}


async def pages(db: Reader, scope: Scope, wanted: Filter) -> AsyncIterator[list[Row]]:
    """Pages of the columns above; the currency and the zone are those of the session's time."""
    async for rows in _followed(db, scope, wanted, _page, PAGE_ROWS):
        yield rows


async def bare_pages(db: Reader, scope: Scope, wanted: Filter) -> AsyncIterator[tuple[list[Row], Names]]:
    """Pages of COLUMNS, and what their ids stand for; a zone may be None: that of the location counts."""
    names = Names()
    async for rows in _followed(db, scope, wanted, _bare_page, BARE_ROWS):
        await names.learn(db, scope.organisation_id, rows)
        yield rows, names


async def _followed(
    db: Reader, scope: Scope, wanted: Filter, statement: Callable[[Shape], Select[Any]], most: int
) -> AsyncIterator[list[Row]]:
    shape, values = asked_of(scope, wanted)
    shape = msgspec.structs.replace(shape, runs=None)
    values["most"] = most
    while True:
        rows = await db.all(statement(shape), values)
        if rows:
            yield rows
        if len(rows) < most:
            return
        values |= {"before_id": rows[-1].id, "before_ms": rows[-1].started_ms}
        shape = msgspec.structs.replace(shape, before=True)


def _in_order(found: Select[Any], shape: Shape) -> Select[Any]:
    """Newest first, after what the page before ended with. A stretch of time is followed by its index: by ids each page would
    sort all of it."""
    most = bindparam("most", type_=BigInteger)
    if not (shape.since or shape.until):
        return found.where(*conditions(shape)).order_by(S.id.desc()).limit(most)
    found = found.where(*conditions(msgspec.structs.replace(shape, before=False)))
    if shape.before:
        before_ms: ColumnElement[int] = bindparam("before_ms")
        found = found.where(
            S.started_ms <= before_ms, or_(S.started_ms < before_ms, S.id < bindparam("before_id", type_=BigInteger))
        )
    return found.order_by(S.started_ms.desc(), S.id.desc()).limit(most)
