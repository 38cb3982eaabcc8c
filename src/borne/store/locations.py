"""Locations: listed, described, deleted when nothing needs them any more. Every function names the organisation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, and_, bindparam, delete, func, or_, select, update

from borne.core.scope import Scope
from borne.store import energy_prices, site_meter
from borne.store.db import Reader, Row, Transaction
from borne.store.schema import (
    chargers,
    invitation_locations,
    invitations,
    locations,
    membership_locations,
    memberships,
    people,
)

L = locations.c
_mine = (L.organisation_id == bindparam("of_organisation_id"), L.id == bindparam("location_id"))
_held = select(locations).where(*_mine).with_for_update()
_FIELDS = (
    "name", "address", "time_zone", "currency", "supply_a", "supply_phases", "accepts_unknown_tags",
)  # fmt: skip
_describe = update(locations).where(*_mine).values({name: bindparam(f"new_{name}") for name in _FIELDS})
_remove = delete(locations).where(*_mine)
_names = select(L.id, L.name).where(L.organisation_id == bindparam("of_organisation_id"))

_chargers = select(func.count()).where(
    chargers.c.organisation_id == bindparam("of_organisation_id"), chargers.c.location_id == bindparam("location_id")
)
_invited_here = and_(
    invitation_locations.c.organisation_id == bindparam("of_organisation_id"),
    invitation_locations.c.location_id == bindparam("location_id"),
)
_invitations = (
    select(func.count())
    .select_from(invitation_locations.join(invitations, invitations.c.id == invitation_locations.c.invitation_id))
    .where(
        _invited_here,
        invitations.c.organisation_id == bindparam("of_organisation_id"),
        invitations.c.accepted_ms.is_(None),
        invitations.c.revoked_ms.is_(None),
        invitations.c.expires_ms > bindparam("now_ms"),
    )
)
_forget_invited = delete(invitation_locations).where(_invited_here)
_lasts = or_(memberships.c.expires_ms.is_(None), memberships.c.expires_ms > bindparam("now_ms"))
_here = and_(
    membership_locations.c.organisation_id == bindparam("of_organisation_id"),
    membership_locations.c.location_id == bindparam("location_id"),
)
_membership = and_(
    memberships.c.person_id == membership_locations.c.person_id,
    memberships.c.organisation_id == membership_locations.c.organisation_id,
)
_staff = (
    select(people.c.id, people.c.name, people.c.email, memberships.c.role)
    .select_from(
        membership_locations.join(memberships, _membership).join(
            people, people.c.id == membership_locations.c.person_id
        )
    )
    .where(
        _here,
        memberships.c.organisation_id == bindparam("of_organisation_id"),
        memberships.c.role.in_(("admin", "operator")),
        _lasts,
    )
    .order_by(memberships.c.role, people.c.name, people.c.id)
    .limit(bindparam("most"))
)
_count_staff = (
    select(func.count())
    .select_from(membership_locations.join(memberships, _membership))
    .where(_here, memberships.c.organisation_id == bindparam("of_organisation_id"), _lasts)
)
_forget_staff = delete(membership_locations).where(_here)


class Details(msgspec.Struct, frozen=True, kw_only=True):
    """What people say of a location. Time zone: an IANA name; currency: ISO 4217; energy cost: millionths of it, a kWh;
    supply: the main breaker in amperes a phase, and 1 or 3 phases."""

    name: str
    address: str = ""
    time_zone: str = "UTC"
    currency: str = "EUR"
    supply_a: int | None = None
    supply_phases: int | None = None
    accepts_unknown_tags: bool = False


class Needs(msgspec.Struct, frozen=True):
    """What would be without its location: counts of chargers, memberships and open invitations."""

    chargers: int = 0
    people: int = 0
    invitations: int = 0

    @property
    def any(self) -> bool:
        return bool(self.chargers or self.people or self.invitations)


def details_of(row: Row) -> Details:
    """The details in a location's row."""
    values = {name: getattr(row, name) for name in _FIELDS}
    return Details(**(values | {"accepts_unknown_tags": bool(row.accepts_unknown_tags)}))


def reached(scope: Scope) -> list[ColumnElement[bool]]:
    """The conditions that keep a query about locations inside a scope."""
    conditions = [L.organisation_id == scope.organisation_id]
    if scope.location_ids is not None:
        conditions.append(L.id.in_(scope.location_ids))
    return conditions


async def listed(db: Reader, scope: Scope) -> list[Row]:
    """id, name and address of all that the scope reaches: what a search looks at."""
    return await db.all(select(L.id, L.name, L.address).where(*reached(scope)))


async def rows(db: Reader, scope: Scope, ids: Sequence[int]) -> list[Row]:
    """The rows with these ids that the scope reaches, in the order of the ids."""
    found = {row.id: row for row in await db.all(select(locations).where(L.id.in_(ids), *reached(scope)))}
    return [found[one] for one in ids if one in found]


async def row(db: Reader, scope: Scope, location_id: int) -> Row | None:
    """One location; None when it is out of reach."""
    return await db.first(select(locations).where(L.id == location_id, *reached(scope)), fast=True)


async def names(db: Reader, organisation_id: int) -> dict[int, str]:
    """The name of each location of the organisation."""
    return {row.id: row.name for row in await db.all(_names, {"of_organisation_id": organisation_id})}


async def create(tx: Transaction, organisation_id: int, details: Details, now_ms: int) -> int:
    """Add a location and return its id."""
    values = {name: value for name, value in _values(details).items() if value is not None}
    return await tx.insert(locations, {"organisation_id": organisation_id, "created_ms": now_ms, **values})


async def hold(tx: Transaction, organisation_id: int, location_id: int) -> Row | None:
    """The location's row, kept from others until the transaction ends; None: the organisation has no such location."""
    return await tx.first(_held, _key(organisation_id, location_id))


async def describe(tx: Transaction, organisation_id: int, location_id: int, details: Details) -> None:
    """Replace what people say of it. `search` of its chargers holds its name: see `store.charger_places`."""
    new = {f"new_{name}": value for name, value in _values(details).items()}
    await tx.run(_describe, {**_key(organisation_id, location_id), **new})


async def staff(db: Reader, organisation_id: int, location_id: int, now_ms: int, most: int) -> list[Row]:
    """Its admins, then its operators: id, name, email, role."""
    return await db.all(_staff, {**_key(organisation_id, location_id), "now_ms": now_ms, "most": most})


async def needs(db: Reader, organisation_id: int, location_id: int, now_ms: int) -> Needs:
    """What stands in the way of deleting it."""
    key = _key(organisation_id, location_id)
    return Needs(
        await db.value(_chargers, key),
        await db.value(_count_staff, {**key, "now_ms": now_ms}),
        await db.value(_invitations, {**key, "now_ms": now_ms}),
    )


async def remove(tx: Transaction, organisation_id: int, location_id: int) -> None:
    """Delete it; what happened there stays in the history. Ask `hold` and `needs` first, in the same transaction."""
    await tx.run(_forget_staff, _key(organisation_id, location_id))
    await tx.run(_forget_invited, _key(organisation_id, location_id))
    await energy_prices.forget(tx, organisation_id, location_id)
    await site_meter.forget(tx, organisation_id, location_id)
    await tx.run(_remove, _key(organisation_id, location_id))


def _key(organisation_id: int, location_id: int) -> dict[str, int]:
    return {"of_organisation_id": organisation_id, "location_id": location_id}


def _values(details: Details) -> dict[str, Any]:
    return msgspec.structs.asdict(details) | {"accepts_unknown_tags": int(details.accepts_unknown_tags)}
