"""Tags: what people hold before a charger. Known by organisation and text, letter case aside."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import and_, bindparam, exists, or_, select

from borne.store.db import Reader, Row, Transaction
from borne.store.schema import (
    access_group_chargers,
    access_group_people,
    assignments,
    chargers,
    locations,
    membership_locations,
    memberships,
    people,
    tags,
)

_owners = select(tags.c.tag, tags.c.person_id).where(
    tags.c.organisation_id == bindparam("organisation_id"), tags.c.person_id.is_not(None)
)
_find = select(
    tags.c.tag, tags.c.name, tags.c.person_id, tags.c.blocked, tags.c.expires_ms, tags.c.group_tag, tags.c.created_ms
).where(tags.c.organisation_id == bindparam("organisation_id"), tags.c.tag == bindparam("tag"))

# Everything that decides what a charger is answered: one statement, every table by its primary key or an index.
_assigned = exists().where(
    assignments.c.person_id == tags.c.person_id, assignments.c.charger_id == bindparam("charger_id")
)
_in_group = exists().where(
    access_group_people.c.organisation_id == bindparam("organisation_id"),
    access_group_people.c.person_id == tags.c.person_id,
    access_group_chargers.c.organisation_id == bindparam("organisation_id"),
    access_group_chargers.c.access_group_id == access_group_people.c.access_group_id,
    access_group_chargers.c.charger_id == bindparam("charger_id"),
)
_runs = exists().where(
    membership_locations.c.organisation_id == bindparam("organisation_id"),
    membership_locations.c.person_id == tags.c.person_id,
    membership_locations.c.location_id == chargers.c.location_id,
)
_held = (
    select(
        locations.c.accepts_unknown_tags,
        tags.c.tag,
        tags.c.blocked,
        tags.c.expires_ms,
        tags.c.group_tag,
        tags.c.person_id,
        people.c.disabled,
        memberships.c.role,
        memberships.c.expires_ms.label("until_ms"),
        or_(_assigned, _in_group).label("assigned"),
        _runs.label("runs"),
    )
    .select_from(
        chargers.join(
            locations,
            and_(locations.c.id == chargers.c.location_id, locations.c.organisation_id == bindparam("organisation_id")),
        )
        .outerjoin(tags, and_(tags.c.organisation_id == bindparam("organisation_id"), tags.c.tag == bindparam("tag")))
        .outerjoin(people, people.c.id == tags.c.person_id)
        .outerjoin(
            memberships,
            and_(
                memberships.c.organisation_id == bindparam("organisation_id"),
                memberships.c.person_id == tags.c.person_id,
            ),
        )
    )
    .where(chargers.c.id == bindparam("charger_id"), chargers.c.organisation_id == bindparam("organisation_id"))
)
_taking_any = select(locations.c.id).where(
    locations.c.organisation_id == bindparam("organisation_id"),
    locations.c.id.in_(bindparam("ids", expanding=True)),
    locations.c.accepts_unknown_tags != 0,
)


async def find(db: Reader, organisation_id: int, tag: str) -> Row | None:
    """tag, name, person_id, blocked, expires_ms, group_tag, created_ms of a tag in any letter case; None when the
    organisation has no such tag."""
    return await db.first(_find, {"organisation_id": organisation_id, "tag": tag.casefold()}, fast=True)


async def held(db: Reader, organisation_id: int, charger_id: int, tag: str) -> Row | None:
    """What decides over a tag held before a charger: accepts_unknown_tags of its location; tag (None: unknown), blocked,
    expires_ms, group_tag, person_id; disabled, role, until_ms (all None: no such person or member), assigned, runs.

    None when the organisation has no such charger.
    """
    wanted = {"organisation_id": organisation_id, "charger_id": charger_id, "tag": tag.casefold()}
    return await db.first(_held, wanted, fast=True)


async def places_taking_any(db: Reader, organisation_id: int, location_ids: Iterable[int]) -> set[int]:
    """Those of the locations where tags that the organisation does not know may charge."""
    values = {"organisation_id": organisation_id, "ids": list(location_ids)}
    return {row.id for row in await db.all(_taking_any, values)}


async def put(
    tx: Transaction,
    organisation_id: int,
    tag: str,
    *,
    name: str = "",
    person_id: int | None = None,
    blocked: bool = False,
    expires_ms: int | None = None,
    group_tag: str | None = None,
) -> None:
    """Add a tag, or replace what is known of it."""
    row = (organisation_id, tag.casefold(), name, person_id, int(blocked), expires_ms, group_tag)
    columns = ("name", "person_id", "blocked", "expires_ms", "group_tag")
    await tx.upsert_many(tags, ("organisation_id", "tag"), columns, [row])


async def owners(db: Reader, organisation_id: int) -> dict[str, int]:
    """The person of each tag that has one."""
    rows = await db.all(_owners, {"organisation_id": organisation_id})
    return {row.tag: row.person_id for row in rows}
