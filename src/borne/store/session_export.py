"""Sessions for files: everything a filter finds, newest first, in pages that follow ids. No page knows how many there are."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import lru_cache
from typing import Any

import msgspec
from sqlalchemy import BigInteger, ColumnElement, Select, and_, bindparam, func, select

from borne.core.scope import Scope
from borne.store.db import Reader, Row
from borne.store.schema import archived_chargers, chargers, locations, memberships, organisations, people, sessions
from borne.store.session_list import Filter, Shape, asked_of, conditions

PAGE_ROWS = 1_000
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
_organisation = select(organisations.c.name).where(organisations.c.id == _organisation_id)


@lru_cache(maxsize=256)
def _page(shape: Shape) -> Select[Any]:
    most = bindparam("most", type_=BigInteger)
    return select(*_columns).select_from(_joined).where(*conditions(shape)).order_by(S.id.desc()).limit(most)


async def organisation_name(db: Reader, scope: Scope) -> str:
    """Of the scope's organisation."""
    return str(await db.value(_organisation, {"organisation_id": scope.organisation_id}))


async def pages(db: Reader, scope: Scope, wanted: Filter) -> AsyncIterator[list[Row]]:
    """Pages of the columns above; the currency and the zone are those of the session's time."""
    shape, values = asked_of(scope, wanted)
    shape = msgspec.structs.replace(shape, runs=None)
    values["most"] = PAGE_ROWS
    while True:
        rows = await db.all(_page(shape), values)
        if rows:
            yield rows
        if len(rows) < PAGE_ROWS:
            return
        values["before_id"] = rows[-1].id
        shape = msgspec.structs.replace(shape, before=True)
