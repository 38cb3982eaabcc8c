"""Statistics by access group: what its chargers delivered. A charger in several groups counts in each of them."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Select, Table, and_, bindparam, select

from borne.core.scope import Scope
from borne.core.statistics import SUMS
from borne.store.db import Reader, Row
from borne.store.period_sums import organisation_id, summed, total, values_of
from borne.store.schema import access_group_chargers, access_groups, charger_days
from borne.store.statistics import RANKED, Chosen

SHOWN = ("energy_wh", "charging_ms", "cost_nanos", "sessions")


@lru_cache(maxsize=8)
def _by_group(location: bool, limited: bool, names: tuple[str, ...]) -> Select[Any]:
    def conditions(table: Table) -> list[ColumnElement[bool]]:
        found = [table.c.location_id == bindparam("location_id")] if location else []
        return [*found, table.c.location_id.in_(bindparam("location_ids", expanding=True))] if limited else found

    m, g = access_group_chargers.c, access_groups.c
    each = summed(charger_days, "charger_id", names, conditions)
    is_in = and_(m.charger_id == each.c.key, m.organisation_id == organisation_id)
    is_group = and_(g.id == m.access_group_id, g.organisation_id == organisation_id)
    energy_wh = total(each, "energy_wh")
    return (
        select(g.id.label("key"), g.name, *(total(each, name) for name in names))
        .select_from(each.join(access_group_chargers, is_in).join(access_groups, is_group))
        .group_by(g.id, g.name)
        .having(energy_wh > 0)
        .order_by(energy_wh.desc(), g.id)
        .limit(bindparam("most", type_=BigInteger))
    )


async def by_access_group(
    db: Reader, scope: Scope, chosen: Chosen, most: int = RANKED, names: tuple[str, ...] = SUMS
) -> list[Row]:
    """key (the group's id), name, SUMS or what is named of them; the most energy first. Not for users: it counts everybody."""
    values = {"most": most, **await values_of(db, scope, charger_days, chosen.from_day, chosen.until_day)}
    if chosen.location_id is not None:
        values["location_id"] = chosen.location_id
    if scope.location_ids is not None:
        values["location_ids"] = list(scope.location_ids)
    return await db.all(_by_group(chosen.location_id is not None, scope.location_ids is not None, names), values)


async def shown_by_access_group(db: Reader, scope: Scope, chosen: Chosen, most: int = RANKED) -> list[Row]:
    """The same with the numbers that a page shows: half the work, which is all of thousands of chargers."""
    return await by_access_group(db, scope, chosen, most, SHOWN)
