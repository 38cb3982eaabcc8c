"""Access groups: named sets of chargers, and the users who may use them.

What a scope sees of groups: all of them, or for an admin of locations those with a charger there and those without any.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Select, bindparam, delete, func, literal_column, or_, select, update

from borne.core.scope import Scope
from borne.store.db import Reader, Row, Transaction
from borne.store.schema import access_group_chargers, access_group_people, access_groups, chargers
from borne.store.tenancy import beside

MOST = 2_000  # groups of an organisation


class Counts(msgspec.Struct, frozen=True):
    """What is in a group. `elsewhere`: chargers at locations that are not the scope's."""

    chargers: int = 0
    elsewhere: int = 0
    people: int = 0


G = access_groups.c
_here = G.organisation_id == bindparam("organisation_id")
_group_of = (
    access_group_chargers.c.organisation_id == bindparam("organisation_id"),
    access_group_chargers.c.access_group_id == G.id,
    beside(chargers.c.organisation_id) == bindparam("organisation_id"),
    chargers.c.id == access_group_chargers.c.charger_id,
)
# As a value: PostgreSQL would else look at all groups' chargers to know of one group.
_has_any = select(literal_column("1")).where(*_group_of).limit(1).scalar_subquery().is_not(None)
# From the chargers of the locations, not from all that groups hold.
_of_locations = (
    beside(access_group_chargers.c.organisation_id) == bindparam("organisation_id"),
    access_group_chargers.c.charger_id == chargers.c.id,
    chargers.c.organisation_id == bindparam("organisation_id"),
    chargers.c.location_id.in_(bindparam("location_ids", expanding=True)),
)
groups_here = (
    select(access_group_chargers.c.access_group_id)
    .join(chargers, chargers.c.id == access_group_chargers.c.charger_id)
    .where(
        access_group_chargers.c.organisation_id == bindparam("organisation_id"),
        chargers.c.organisation_id == bindparam("organisation_id"),
        chargers.c.location_id.in_(bindparam("location_ids", expanding=True)),
    )
)
"""Ids of the groups with a charger at some locations (parameters `organisation_id`, `location_ids`)."""

_hold = select(G.id, G.name).where(_here, G.id == bindparam("group_id")).with_for_update()
_rename = (
    update(access_groups)
    .where(G.organisation_id == bindparam("of_organisation_id"), G.id == bindparam("group_id"))
    .values(name=bindparam("new_name"))
)
_delete = tuple(
    delete(table).where(table.c.organisation_id == bindparam("organisation_id"), column == bindparam("group_id"))
    for table, column in (
        (access_group_chargers, access_group_chargers.c.access_group_id),
        (access_group_people, access_group_people.c.access_group_id),
        (access_groups, G.id),
    )
)
_take_chargers = delete(access_group_chargers).where(
    access_group_chargers.c.organisation_id == bindparam("organisation_id"),
    access_group_chargers.c.access_group_id == bindparam("group_id"),
    access_group_chargers.c.charger_id.in_(bindparam("ids", expanding=True)),
)
_take_people = delete(access_group_people).where(
    access_group_people.c.organisation_id == bindparam("organisation_id"),
    access_group_people.c.access_group_id == bindparam("group_id"),
    access_group_people.c.person_id.in_(bindparam("ids", expanding=True)),
)
_people_counts = (
    select(access_group_people.c.access_group_id, func.count())
    .where(
        access_group_people.c.organisation_id == bindparam("organisation_id"),
        access_group_people.c.access_group_id.in_(bindparam("ids", expanding=True)),
    )
    .group_by(access_group_people.c.access_group_id)
)
_person_ids = select(access_group_people.c.person_id).where(
    access_group_people.c.organisation_id == bindparam("organisation_id"),
    access_group_people.c.access_group_id == bindparam("group_id"),
)


def _visible(limited: bool) -> list[ColumnElement[bool]]:
    return [_here, or_(G.id.in_(groups_here), ~_has_any)] if limited else [_here]


@lru_cache(maxsize=2)
def _listed(limited: bool) -> Select[Any]:
    return select(G.id, G.name).where(*_visible(limited)).order_by(G.name, G.id).limit(MOST)


@lru_cache(maxsize=2)
def _one(limited: bool) -> Select[Any]:
    return select(G.id, G.name, G.created_ms).where(*_visible(limited), G.id == bindparam("group_id"))


_charger_counts = (  # a charger that leaves the organisation leaves its groups
    select(access_group_chargers.c.access_group_id, func.count())
    .where(
        access_group_chargers.c.organisation_id == bindparam("organisation_id"),
        access_group_chargers.c.access_group_id.in_(bindparam("ids", expanding=True)),
    )
    .group_by(access_group_chargers.c.access_group_id)
)
_counts_here = (
    select(access_group_chargers.c.access_group_id, func.count())
    .where(*_of_locations, beside(access_group_chargers.c.access_group_id).in_(bindparam("ids", expanding=True)))
    .group_by(access_group_chargers.c.access_group_id)
)


def _values(scope: Scope, **more: Any) -> dict[str, Any]:
    values: dict[str, Any] = {"organisation_id": scope.organisation_id, **more}
    if scope.location_ids is not None:
        values["location_ids"] = list(scope.location_ids)
    return values


# ---- looking -----------------------------------------------------------------------------------------------------


async def listed(db: Reader, scope: Scope) -> list[Row]:
    """id and name of the groups that a scope sees, by name, MOST at most."""
    return await db.all(_listed(scope.location_ids is not None), _values(scope))


async def one(db: Reader, scope: Scope, group_id: int) -> Row | None:
    """id, name, created_ms; None for a group that the scope does not see."""
    return await db.first(_one(scope.location_ids is not None), _values(scope, group_id=group_id))


async def counts(db: Reader, scope: Scope, ids: Sequence[int]) -> dict[int, Counts]:
    """What is in each of these groups."""
    if not ids:
        return {}
    values = {"organisation_id": scope.organisation_id, "ids": list(ids)}
    totals = {row[0]: int(row[1]) for row in await db.all(_charger_counts, values)}
    mine = totals
    if scope.location_ids is not None:
        mine = {row[0]: int(row[1]) for row in await db.all(_counts_here, _values(scope, ids=list(ids)))}
    people = {row[0]: int(row[1]) for row in await db.all(_people_counts, values)}
    return {one: Counts(mine.get(one, 0), totals.get(one, 0) - mine.get(one, 0), people.get(one, 0)) for one in ids}


async def people_of(db: Reader, organisation_id: int, group_id: int) -> list[int]:
    """The ids of everybody in a group."""
    found = await db.all(_person_ids, {"organisation_id": organisation_id, "group_id": group_id})
    return [row.person_id for row in found]


# ---- changing ----------------------------------------------------------------------------------------------------


async def hold(tx: Transaction, organisation_id: int, group_id: int) -> Row | None:
    """id and name; nobody else changes the group before this transaction ends. None: there is none."""
    return await tx.first(_hold, {"organisation_id": organisation_id, "group_id": group_id})


async def add(tx: Transaction, organisation_id: int, name: str, now_ms: int) -> int:
    """Add an empty group and return its id. Raises Conflict for a name that is taken."""
    return await tx.insert(access_groups, {"organisation_id": organisation_id, "name": name, "created_ms": now_ms})


async def rename(tx: Transaction, organisation_id: int, group_id: int, name: str) -> None:
    """Raises Conflict for a name that is taken."""
    await tx.run(_rename, {"of_organisation_id": organisation_id, "group_id": group_id, "new_name": name})


async def remove(tx: Transaction, organisation_id: int, group_id: int) -> None:
    """Delete a group with all that is in it."""
    for statement in _delete:
        await tx.run(statement, {"organisation_id": organisation_id, "group_id": group_id})


async def add_chargers(tx: Transaction, organisation_id: int, group_id: int, ids: Sequence[int]) -> int:
    """Returns how many were not in it yet."""
    rows = [(group_id, charger_id, organisation_id) for charger_id in dict.fromkeys(ids)]
    keys = ("access_group_id", "charger_id")
    return await tx.upsert_many(access_group_chargers, keys, ("organisation_id",), rows, keep=True) if rows else 0


async def take_chargers(tx: Transaction, organisation_id: int, group_id: int, ids: Sequence[int]) -> int:
    """Returns how many were in it."""
    values = {"organisation_id": organisation_id, "group_id": group_id, "ids": list(ids)}
    return await tx.run(_take_chargers, values) if ids else 0


async def add_people(tx: Transaction, organisation_id: int, group_id: int, ids: Sequence[int]) -> int:
    """Returns how many were not in it yet."""
    rows = [(group_id, person_id, organisation_id) for person_id in dict.fromkeys(ids)]
    keys = ("access_group_id", "person_id")
    return await tx.upsert_many(access_group_people, keys, ("organisation_id",), rows, keep=True) if rows else 0


async def take_people(tx: Transaction, organisation_id: int, group_id: int, ids: Sequence[int]) -> int:
    """Returns how many were in it."""
    values = {"organisation_id": organisation_id, "group_id": group_id, "ids": list(ids)}
    return await tx.run(_take_people, values) if ids else 0
