"""What savings are made of: sums of sessions that are over, by vehicle and currency; and what the organisation assumes."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, cast

import msgspec
from sqlalchemy import ColumnElement, Integer, Select, bindparam, case, func, select

from borne.core.savings import KIND, Assumption
from borne.core.scope import Scope
from borne.store.db import Reader, Row, Transaction
from borne.store.schema import assumptions, people, sessions, vehicles
from borne.store.tenancy import beside

S, V, A = sessions.c, vehicles.c, assumptions.c


class _Shape(msgspec.Struct, frozen=True):
    own: bool
    limited: bool
    location: bool


def _sum(value: ColumnElement[Any], label: str) -> ColumnElement[Any]:
    return func.coalesce(func.sum(value), 0).label(label)


@lru_cache(maxsize=8)
def _sums(shape: _Shape) -> Select[Any]:
    # Of one person: by their sessions, not by all of the time or of the location.
    others = (S.started_ms, S.ended_ms, S.location_id)
    started_ms, ended_ms, location_id = map(beside, others) if shape.own else others
    conditions = [
        S.organisation_id == bindparam("organisation_id"),
        started_ms >= bindparam("from_ms"),
        started_ms < bindparam("until_ms"),
        S.energy_wh > 0,
        ended_ms.is_not(None),
    ]
    if shape.own:
        conditions.append(S.person_id == bindparam("person_id"))
    if shape.limited:
        conditions.append(S.location_id.in_(bindparam("location_ids", expanding=True)))
    if shape.location:
        conditions.append(location_id == bindparam("location_id"))
    priced, compared = S.cost_nanos.is_not(None), S.cost_nanos.is_not(None) & S.at_once_nanos.is_not(None)
    return (
        select(
            S.vehicle_id,
            S.currency,
            func.count().label("sessions"),
            _sum(S.energy_wh, "energy_wh"),
            _sum(case((priced, S.energy_wh), else_=0), "priced_wh"),
            _sum(S.cost_nanos, "cost_nanos"),
            func.sum(case((compared, 1), else_=0)).cast(Integer).label("compared"),
            _sum(case((compared, S.cost_nanos), else_=0), "compared_nanos"),
            _sum(case((compared, S.at_once_nanos), else_=0), "at_once_nanos"),
        )
        .where(*conditions)
        .group_by(S.vehicle_id, S.currency)
    )


async def sums(db: Reader, scope: Scope, from_ms: int, until_ms: int, location_id: int | None = None) -> list[Row]:
    """Sessions that began between two instants, by vehicle_id (None, 0: of none that is known) and currency.

    `priced_wh`: the energy of those whose cost is known; `compared`: how many are compared with charging at once.
    """
    shape = _Shape(
        scope.role == "user", scope.location_ids is not None and scope.role != "user", location_id is not None
    )
    values: dict[str, Any] = {"organisation_id": scope.organisation_id, "from_ms": from_ms, "until_ms": until_ms}
    if shape.own:
        values["person_id"] = scope.person_id
    if shape.limited:
        values["location_ids"] = list(scope.location_ids or ())
    if shape.location:
        values["location_id"] = location_id
    return await db.all(_sums(shape), values)


_vehicles = (
    select(V.id, V.name, V.wh_100km, V.replaced, V.replaced_ml_100km, people.c.name.label("owner"))
    .select_from(vehicles.outerjoin(people, people.c.id == V.person_id))
    .where(V.organisation_id == bindparam("organisation_id"), V.id.in_(bindparam("ids", expanding=True)))
)
_known = (
    select(assumptions)
    .where(A.organisation_id == bindparam("organisation_id"))
    .order_by(A.kind, A.from_day.desc(), A.id.desc())
)


async def vehicles_of(db: Reader, organisation_id: int, ids: list[int]) -> dict[int, Row]:
    """The vehicles with these ids, also those out of use, with what they use and replaced."""
    rows = await db.all(_vehicles, {"organisation_id": organisation_id, "ids": ids}) if ids else []
    return {row.id: row for row in rows}


async def assumed(db: Reader, organisation_id: int) -> list[Row]:
    """All that the organisation ever assumed, by kind, the newest first."""
    return await db.all(_known, {"organisation_id": organisation_id})


def as_assumptions(rows: list[Row]) -> list[Assumption]:
    """The same as core.savings reads them: of one day, the last that was said."""
    found: dict[tuple[str, int], Assumption] = {}
    for row in sorted(rows, key=lambda row: row.id):
        found[row.kind, row.from_day] = Assumption(cast(KIND, row.kind), row.value, row.from_day, row.source)
    return list(found.values())


async def assume(
    tx: Transaction,
    organisation_id: int,
    assumption: Assumption,
    *,
    currency: str | None,
    person_name: str,
    now_ms: int,
) -> int:
    """Note what counts from a day on. Nothing is overwritten."""
    values = {
        "organisation_id": organisation_id,
        "kind": assumption.kind,
        "value": assumption.value,
        "currency": currency,
        "from_day": assumption.from_day,
        "source": assumption.source,
        "person_name": person_name,
        "created_ms": now_ms,
    }
    return await tx.insert(assumptions, values)
