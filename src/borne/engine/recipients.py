"""Who may be told: people whose access is alive, with what they reach and what they want, as it is now."""

from __future__ import annotations

from typing import cast

from borne.core.notifications import DEFAULT_MINUTES, Recipient, Wish
from borne.core.scope import Role, Scope
from borne.store import logins
from borne.store import notices as store
from borne.store.db import Reader, Row


async def recipients(db: Reader, organisation_id: int, now_ms: int) -> list[Recipient]:
    """Everybody of an organisation who hears of anything."""
    rows = await store.listeners(db, organisation_id, now_ms)
    locations = await store.locations_of(db, organisation_id)
    own: dict[int, dict[str, Wish]] = {}
    for rule in await store.rules(db, organisation_id):
        own.setdefault(rule.person_id, {})[rule.event] = wish_of(rule)
    return [await _recipient(db, organisation_id, row, locations.get(row.id, ()), own.get(row.id, {})) for row in rows]


async def recipient(db: Reader, person_id: int, organisation_id: int, now_ms: int) -> tuple[Recipient, Row] | None:
    """One person, and their row (store.notices.listener); None when their access is over."""
    row = await store.listener(db, person_id, organisation_id, now_ms)
    if row is None:
        return None
    own = {rule.event: wish_of(rule) for rule in await store.rules(db, organisation_id, person_id)}
    locations = await logins.locations_of(db, person_id, organisation_id)
    return await _recipient(db, organisation_id, row, locations, own), row


def wish_of(rule: Row) -> Wish:
    """A person's own rule as stored."""
    return Wish(bool(rule.in_portal), bool(rule.by_mail), rule.minutes or DEFAULT_MINUTES)


async def _recipient(
    db: Reader, organisation_id: int, row: Row, locations: tuple[int, ...], own: dict[str, Wish]
) -> Recipient:
    role = cast(Role, row.role)
    scope = Scope(
        person_id=row.id,
        person_name=row.name,
        organisation_id=organisation_id,
        role=role,
        plan="",  # no notice depends on it
        location_ids=locations if role in ("admin", "operator") else None,
        charger_ids=await logins.chargers_of(db, row.id, organisation_id) if role == "user" else None,
    )
    return Recipient(
        scope=scope,
        email=row.email,
        language=row.language,
        zone=row.time_zone or "UTC",
        quiet_from=row.quiet_from_minute,
        quiet_until=row.quiet_until_minute,
        own=own,
    )
