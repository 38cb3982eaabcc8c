"""What utilisation is made of: how long chargers of each model existed in a period, and what they delivered."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import msgspec
from sqlalchemy import BigInteger, ColumnElement, Select, Table, and_, bindparam, case, func, literal, select, union_all

from borne.core.scope import Scope
from borne.store.db import Reader, Row
from borne.store.period_sums import organisation_id, summed, total, values_of
from borne.store.schema import access_group_chargers, archived_chargers, charger_days, chargers, locations
from borne.store.statistics import Chosen

_from_ms: ColumnElement[int] = bindparam("from_ms")
_until_ms: ColumnElement[int] = bindparam("until_ms")


class _Shape(msgspec.Struct, frozen=True):
    location: bool
    charger: bool
    access_group: bool
    limited: bool


async def existed(db: Reader, scope: Scope, chosen: Chosen, from_ms: int, until_ms: int) -> list[Row]:
    """model, phases (of the location's supply; None: not known), chargers, existed_ms between two instants, added up.

    Chargers count where they are now; those that left, until then. Not for users, nor for what one person charged.
    """
    shape, values = _asked(scope, chosen)
    return await db.all(_existed(shape), {**values, "from_ms": from_ms, "until_ms": until_ms})


async def delivered(db: Reader, scope: Scope, chosen: Chosen) -> list[Row]:
    """model, phases, energy_wh of the days that are chosen."""
    shape, values = _asked(scope, chosen)
    period = await values_of(db, scope, charger_days, chosen.from_day, chosen.until_day)
    return await db.all(_delivered(shape), {**values, **period})


def _asked(scope: Scope, chosen: Chosen) -> tuple[_Shape, dict[str, Any]]:
    more = {
        "location_id": chosen.location_id,
        "charger_id": chosen.charger_id,
        "access_group_id": chosen.access_group_id,
        "location_ids": None if scope.location_ids is None else list(scope.location_ids),
    }
    values: dict[str, Any] = {name: value for name, value in more.items() if value is not None}
    shape = _Shape(*(name in values for name in ("location_id", "charger_id", "access_group_id", "location_ids")))
    return shape, {"organisation_id": scope.organisation_id, **values}


def _chosen(shape: _Shape, charger_id: Any, location_id: Any) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if shape.location:
        found.append(location_id == bindparam("location_id"))
    if shape.limited:
        found.append(location_id.in_(bindparam("location_ids", expanding=True)))
    if shape.charger:
        found.append(charger_id == bindparam("charger_id"))
    if shape.access_group:
        mine = select(access_group_chargers.c.charger_id).where(
            access_group_chargers.c.organisation_id == organisation_id,
            access_group_chargers.c.access_group_id == bindparam("access_group_id"),
        )
        found.append(charger_id.in_(mine))
    return found


def _of(table: Table, end_ms: ColumnElement[int], shape: _Shape) -> Select[Any]:
    """model, phases, and how long each charger of a table existed within the period."""
    c = table.c
    begun_ms = case((c.created_ms > _from_ms, c.created_ms), else_=_from_ms)
    here = and_(locations.c.id == c.location_id, locations.c.organisation_id == organisation_id)
    return (
        select(c.model, locations.c.supply_phases.label("phases"), (end_ms - begun_ms).label("existed_ms"))
        .select_from(table.outerjoin(locations, here))
        .where(c.organisation_id == organisation_id, c.created_ms < end_ms, *_chosen(shape, c.id, c.location_id))
    )


@lru_cache(maxsize=32)
def _existed(shape: _Shape) -> Select[Any]:
    left = archived_chargers.c.archived_ms
    gone_ms = case((left < _until_ms, left), else_=_until_ms)
    each = union_all(
        _of(chargers, _until_ms, shape), _of(archived_chargers, gone_ms, shape).where(left > _from_ms)
    ).subquery("each")
    c = each.c
    return select(
        c.model,
        c.phases,
        func.count().label("chargers"),
        func.sum(c.existed_ms).cast(BigInteger).label("existed_ms"),
    ).group_by(c.model, c.phases)


@lru_cache(maxsize=32)
def _delivered(shape: _Shape) -> Select[Any]:
    each = summed(
        charger_days, "charger_id", ("energy_wh",), lambda some: _chosen(shape, some.c.charger_id, some.c.location_id),
        "charger_id" if shape.charger or shape.access_group else None,
    )  # fmt: skip
    here = and_(chargers.c.id == each.c.key, chargers.c.organisation_id == organisation_id)
    left = and_(archived_chargers.c.id == each.c.key, archived_chargers.c.organisation_id == organisation_id)
    location_id = func.coalesce(chargers.c.location_id, archived_chargers.c.location_id)
    place = and_(locations.c.id == location_id, locations.c.organisation_id == organisation_id)
    model = func.coalesce(chargers.c.model, archived_chargers.c.model, literal("other"))
    return (
        select(
            model.label("model"),
            locations.c.supply_phases.label("phases"),
            total(each, "energy_wh"),
        )
        .select_from(each.outerjoin(chargers, here).outerjoin(archived_chargers, left).outerjoin(locations, place))
        .group_by(model, locations.c.supply_phases)
    )
