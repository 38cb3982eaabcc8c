"""Chargers assigned to users one by one."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import bindparam, delete, func, select

from borne.core.scope import Scope
from borne.store.db import Reader, Row, Transaction
from borne.store.schema import (
    access_group_chargers,
    access_group_people,
    access_groups,
    assignments,
    chargers,
    memberships,
)
from borne.store.tenancy import beside

_take = delete(assignments).where(
    assignments.c.person_id == bindparam("person_id"),
    assignments.c.charger_id.in_(
        select(chargers.c.id).where(
            beside(chargers.c.organisation_id) == bindparam("organisation_id"),
            chargers.c.id.in_(bindparam("ids", expanding=True)),
        )
    ),
)
_still_here = select(chargers.c.id).where(
    beside(chargers.c.organisation_id) == bindparam("organisation_id"),
    chargers.c.id.in_(bindparam("ids", expanding=True)),
)
_lock = (
    select(memberships.c.role)
    .where(
        memberships.c.organisation_id == bindparam("organisation_id"), memberships.c.person_id == bindparam("person_id")
    )
    .with_for_update()
)
_mine = chargers.c.location_id.in_(bindparam("location_ids", expanding=True))
# From what the person has, not from all chargers of the organisation.
_has = (
    select(assignments.c.charger_id)
    .where(assignments.c.person_id == bindparam("person_id"))
    .union_all(
        select(access_group_chargers.c.charger_id).where(
            access_group_chargers.c.organisation_id == bindparam("organisation_id"),
            access_group_people.c.organisation_id == bindparam("organisation_id"),
            access_group_people.c.person_id == bindparam("person_id"),
            access_group_people.c.access_group_id == access_group_chargers.c.access_group_id,
        )
    )
)
_elsewhere = select(func.count()).where(
    beside(chargers.c.organisation_id) == bindparam("organisation_id"), chargers.c.id.in_(_has), ~_mine
)
_by_groups = (
    select(access_groups.c.id, access_groups.c.name, func.count(chargers.c.id).label("chargers"))
    .select_from(
        access_group_people.join(
            access_groups,
            (access_groups.c.id == access_group_people.c.access_group_id)
            & (access_groups.c.organisation_id == bindparam("organisation_id")),
        )
        .outerjoin(
            access_group_chargers,
            (access_group_chargers.c.access_group_id == access_groups.c.id)
            & (access_group_chargers.c.organisation_id == bindparam("organisation_id")),
        )
        .outerjoin(
            chargers,
            (chargers.c.id == access_group_chargers.c.charger_id)
            & (chargers.c.organisation_id == bindparam("organisation_id")),
        )
    )
    .where(
        access_group_people.c.organisation_id == bindparam("organisation_id"),
        access_group_people.c.person_id == bindparam("person_id"),
    )
    .group_by(access_groups.c.id, access_groups.c.name)
    .order_by(access_groups.c.name, access_groups.c.id)
)


async def hold(tx: Transaction, organisation_id: int, person_id: int) -> str | None:
    """The role of a member; what they may use changes in this transaction alone until it ends. None: no member."""
    role: str | None = await tx.value(_lock, {"organisation_id": organisation_id, "person_id": person_id})
    return role


async def add(tx: Transaction, organisation_id: int, person_id: int, charger_ids: Sequence[int]) -> int:
    """Assign chargers; returns how many were not assigned yet. One that left the organisation meanwhile is left out."""
    found = await tx.all(_still_here, {"organisation_id": organisation_id, "ids": list(charger_ids)})
    charger_ids = [row.id for row in found]
    rows = [(person_id, charger_id) for charger_id in dict.fromkeys(charger_ids)]
    return await tx.upsert_many(assignments, ("person_id", "charger_id"), (), rows, keep=True) if rows else 0


async def take(tx: Transaction, organisation_id: int, person_id: int, charger_ids: Sequence[int]) -> int:
    """Returns how many were assigned."""
    values = {"organisation_id": organisation_id, "person_id": person_id, "ids": list(charger_ids)}
    return await tx.run(_take, values) if charger_ids else 0


async def elsewhere(db: Reader, scope: Scope, person_id: int) -> int:
    """How many chargers somebody may use, in either way, at locations that are not the scope's."""
    if scope.location_ids is None:
        return 0
    values = {
        "organisation_id": scope.organisation_id,
        "person_id": person_id,
        "location_ids": list(scope.location_ids),
    }
    return int(await db.value(_elsewhere, values))


async def groups(db: Reader, organisation_id: int, person_id: int) -> list[Row]:
    """id, name, chargers (how many it holds) of the access groups that somebody is in, by name."""
    return await db.all(_by_groups, {"organisation_id": organisation_id, "person_id": person_id})
