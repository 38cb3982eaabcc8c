"""Quarters of an hour of one charger's or one person's sessions; those of whole locations are kept as sums (store.statistics)."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import msgspec
from sqlalchemy import BigInteger, ColumnElement, Select, bindparam, case, func, literal, select

from borne.core.metering_slots import SLOT_MS
from borne.core.scope import Scope
from borne.store.db import Reader, Row
from borne.store.schema import session_slots, sessions
from borne.store.tenancy import beside

S, T = sessions.c, session_slots.c
_organisation_id: ColumnElement[int] = bindparam("organisation_id")


class _Shape(msgspec.Struct, frozen=True):
    charger: bool
    person: bool
    location: bool
    limited: bool


@lru_cache(maxsize=16)
def _slots(shape: _Shape) -> Select[Any]:
    # By the sessions of the charger or the person, not by those of a location or of the organisation.
    location_id = beside(S.location_id) if shape.charger or shape.person else S.location_id
    conditions = [
        (beside(S.organisation_id) if shape.charger else S.organisation_id) == _organisation_id,
        T.organisation_id == _organisation_id,
        S.begun_ms < bindparam("until_ms"),
        S.over_ms > bindparam("from_ms"),
        T.slot_ms >= bindparam("from_ms"),
        T.slot_ms < bindparam("until_ms"),
    ]
    if shape.charger:
        conditions.append(S.charger_id == bindparam("charger_id"))
    if shape.person:
        conditions.append(S.person_id == bindparam("person_id"))
    if shape.location:
        conditions.append(location_id == bindparam("location_id"))
    if shape.limited:
        conditions.append(location_id.in_(bindparam("location_ids", expanding=True)))
    begins = S.begun_ms - S.begun_ms % literal(SLOT_MS, BigInteger)
    grid_wh = T.energy_wh - T.solar_wh
    cost_nanos = grid_wh * func.coalesce(T.price_micros, 0) + T.solar_wh * func.coalesce(T.feed_in_micros, 0)
    sums = {
        "energy_wh": T.energy_wh,
        "charging_ms": T.charging_ms,
        "plugged_ms": T.plugged_ms,
        "cost_nanos": cost_nanos,
        "unpriced_wh": case((T.price_micros.is_(None), grid_wh), else_=0),
        "solar_wh": T.solar_wh,
        "sessions": case((T.slot_ms == begins, 1), else_=0),
    }
    numbers = [func.sum(value).cast(BigInteger).label(name) for name, value in sums.items()]
    return (
        select(T.slot_ms, *numbers)
        .select_from(sessions.join(session_slots, T.session_id == S.id))
        .where(*conditions)
        .group_by(T.slot_ms)
        .order_by(T.slot_ms)
    )


async def by_slot(
    db: Reader,
    scope: Scope,
    from_ms: int,
    until_ms: int,
    *,
    charger_id: int | None = None,
    person_id: int | None = None,
    location_id: int | None = None,
) -> list[Row]:
    """slot_ms and SUMS but `unknown`; a session counts in the slot it began in. Users: of their own alone."""
    is_own = scope.role == "user"
    more = {
        "charger_id": charger_id,
        "person_id": scope.person_id if is_own else person_id,
        "location_id": location_id,
        "location_ids": None if is_own or scope.location_ids is None else list(scope.location_ids),
    }
    values: dict[str, Any] = {name: value for name, value in more.items() if value is not None}
    shape = _Shape(*(name in values for name in ("charger_id", "person_id", "location_id", "location_ids")))
    values |= {"organisation_id": scope.organisation_id, "from_ms": from_ms, "until_ms": until_ms}
    return await db.all(_slots(shape), values)
