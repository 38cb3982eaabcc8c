"""Members of an organisation: their role, their locations, the end of their access, their leaving. One place for all doors.

Each change locks the organisation's members first, so that of two at once the second sees what the first did: no
organisation is ever left without a super-admin whose access has no end.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from borne.core.actor import Actor
from borne.core.people import Member, Refusal, change_refused, removal_refused
from borne.core.scope import Role, Scope
from borne.engine.audit import About, Audit
from borne.store import people as store
from borne.store.db import Database, Reader, Row, Transaction


class RefusedError(Exception):
    """The change is not allowed; `why` says what forbids it. Nothing was changed."""

    def __init__(self, why: Refusal) -> None:
        super().__init__(why)
        self.why = why


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """What a member shall be: role, locations (of an admin, an operator; of a user: whose admins see them), end of access."""

    role: Role
    location_ids: tuple[int, ...] = ()
    expires_ms: int | None = None


def member_of(row: Row) -> Member:
    """A member's row of the store, as the rules see it."""
    return Member(person_id=row.id, role=row.role, expires_ms=row.expires_ms)


async def change_refusal(db: Reader, scope: Scope, row: Row, role: Role, expires_ms: int | None) -> Refusal | None:
    """What forbids this change of a member; None: nothing does."""
    others = await store.others_keep_house(db, scope.organisation_id, row.id)
    return change_refused(scope, member_of(row), role, expires_ms, others)


async def removal_refusal(db: Reader, scope: Scope, row: Row) -> Refusal | None:
    """What forbids to remove a member; None: nothing does."""
    others = await store.others_keep_house(db, scope.organisation_id, row.id)
    return removal_refused(scope, member_of(row), others)


async def hold(tx: Transaction, scope: Scope, now_ms: int) -> None:
    """Let nobody else change the organisation's members before this transaction ends, and look whether the one who acts still
    has the role they came with. Raises RefusedError."""
    await store.lock_members(tx, scope.organisation_id)
    row = await store.member(tx, scope.organisation_id, scope.person_id)
    over = row is not None and row.expires_ms is not None and row.expires_ms <= now_ms
    if row is None or row.role != scope.role or row.disabled or over:
        raise RefusedError("role")


async def change(
    db: Database,
    audit: Audit,
    actor: Actor,
    scope: Scope,
    person_id: int,
    place: Place,
    known: Sequence[int],
    now_ms: int,
) -> bool:
    """Give a member another role, locations, end. False: no such member. Raises RefusedError.

    `known`: the organisation's locations; others are left out.
    """
    organisation_id = scope.organisation_id
    async with db.transaction() as tx:
        await hold(tx, scope, now_ms)
        row = await store.member(tx, organisation_id, person_id)
        if row is None:
            return False
        refusal = await change_refusal(tx, scope, row, place.role, place.expires_ms)
        if refusal is not None:
            raise RefusedError(refusal)
        before = await _described(tx, organisation_id, row)
        await store.change_membership(
            tx, organisation_id=organisation_id, person_id=person_id, role=place.role, expires_ms=place.expires_ms
        )
        wanted = () if place.role == "super-admin" else tuple(one for one in place.location_ids if one in known)
        await store.set_locations(tx, person_id=person_id, organisation_id=organisation_id, location_ids=wanted)
        changed = await store.member(tx, organisation_id, person_id)
        assert changed is not None
        after = await _described(tx, organisation_id, changed)
        if after != before:
            about = _about(row)
            await audit.record(
                tx, actor, "person.changed", about, organisation_id=organisation_id, before=before, after=after
            )
    return True


async def end(db: Database, audit: Audit, actor: Actor, scope: Scope, person_id: int, now_ms: int) -> bool:
    """End a member's access now; it can be prolonged. False: no such member. Raises RefusedError."""
    async with db.transaction() as tx:
        await hold(tx, scope, now_ms)
        row = await store.member(tx, scope.organisation_id, person_id)
        if row is None:
            return False
        refusal = await change_refusal(tx, scope, row, row.role, now_ms)
        if refusal is not None:
            raise RefusedError(refusal)
        await store.change_membership(
            tx, organisation_id=scope.organisation_id, person_id=person_id, role=row.role, expires_ms=now_ms
        )
        await audit.record(tx, actor, "person.access_ended", _about(row), organisation_id=scope.organisation_id)
    return True


async def remove(db: Database, audit: Audit, actor: Actor, scope: Scope, person_id: int, now_ms: int) -> bool:
    """Take somebody out of the organisation; their account and their history stay. False: no such member.

    Raises RefusedError.
    """
    async with db.transaction() as tx:
        await hold(tx, scope, now_ms)
        row = await store.member(tx, scope.organisation_id, person_id)
        if row is None:
            return False
        refusal = await removal_refusal(tx, scope, row)
        if refusal is not None:
            raise RefusedError(refusal)
        before = await _described(tx, scope.organisation_id, row)
        await store.remove_membership(tx, scope.organisation_id, person_id)
        await audit.record(
            tx, actor, "person.removed", _about(row), organisation_id=scope.organisation_id, before=before
        )
    return True


async def leaves_nobody(tx: Transaction, organisation_id: int, person_id: int) -> bool:
    """Whether the organisation would have no super-admin left without this member. Locks its members.

    For whoever takes people away by other ways (erasure): ask for each of their organisations, in the transaction.
    """
    await store.lock_members(tx, organisation_id)
    row = await store.member(tx, organisation_id, person_id)
    if row is None or not member_of(row).keeps_house:
        return False
    return not await store.others_keep_house(tx, organisation_id, person_id)


def _about(row: Row) -> About:
    return About(kind="person", id=row.id, name=f"{row.name} <{row.email}>", person_id=row.id)


async def _described(db: Reader, organisation_id: int, row: Row) -> dict[str, Any]:
    places = await store.locations_of(db, organisation_id, row.id)
    return {"role": row.role, "locations": [place.name for place in places], "until_ms": row.expires_ms}
