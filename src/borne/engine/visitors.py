"""What somebody reaches: their organisations, and the scope they have in one of them. Pages and programs ask here alone."""

from __future__ import annotations

import msgspec

from borne.core.scope import Role, Scope
from borne.store import logins
from borne.store.db import Reader


class Organisation(msgspec.Struct, frozen=True):
    """An organisation that somebody may choose. `until_ms`: their access ends then. `guest`: it consented to be looked into."""

    id: int
    name: str
    role: Role
    plan: str
    until_ms: int | None = None
    guest: bool = False
    requires_second_factor: bool = False


async def organisations_of(db: Reader, person_id: int, operates: bool, now_ms: int) -> tuple[Organisation, ...]:
    """Those the person is a member of, then those that the installation's operator may look into."""
    found = [
        Organisation(
            row.organisation_id,
            row.name,
            row.role,
            row.plan,
            until_ms=row.expires_ms,
            requires_second_factor=bool(row.requires_second_factor),
        )
        for row in await logins.memberships_of(db, person_id, now_ms)
    ]
    if operates:
        known = {one.id for one in found}
        found += [
            Organisation(
                row.organisation_id,
                row.name,
                "operator",
                row.plan,
                until_ms=row.until_ms,
                guest=True,
                requires_second_factor=bool(row.requires_second_factor),
            )
            for row in await logins.consents_of(db, person_id, now_ms)
            if row.organisation_id not in known
        ]
    return tuple(found)


async def scope_in(db: Reader, person_id: int, name: str, organisation: Organisation) -> Scope:
    """What the person reaches in one of their organisations."""
    location_ids: tuple[int, ...] | None = None
    charger_ids: tuple[int, ...] | None = None
    if organisation.guest:
        pass  # every location, and nothing to change
    elif organisation.role in {"admin", "operator"}:
        location_ids = await logins.locations_of(db, person_id, organisation.id)
    elif organisation.role != "super-admin":
        charger_ids = await logins.chargers_of(db, person_id, organisation.id)
    return Scope(
        person_id=person_id,
        person_name=name,
        organisation_id=organisation.id,
        role=organisation.role,
        plan=organisation.plan,
        location_ids=location_ids,
        charger_ids=charger_ids,
        guest=organisation.guest,
    )
