"""Tags: what people hold before a charger. Known by organisation and text, letter case aside."""

from __future__ import annotations

from sqlalchemy import bindparam, select

from borne.store.db import Reader, Row, Transaction
from borne.store.schema import tags

_find = select(tags.c.tag, tags.c.name, tags.c.person_id, tags.c.blocked, tags.c.expires_ms).where(
    tags.c.organisation_id == bindparam("organisation_id"), tags.c.tag == bindparam("tag")
)


async def find(db: Reader, organisation_id: int, tag: str) -> Row | None:
    """tag, name, person_id, blocked, expires_ms of a tag in any letter case; None when the organisation has no such tag."""
    return await db.first(_find, {"organisation_id": organisation_id, "tag": tag.casefold()}, fast=True)


async def put(
    tx: Transaction,
    organisation_id: int,
    tag: str,
    *,
    name: str = "",
    person_id: int | None = None,
    blocked: bool = False,
    expires_ms: int | None = None,
) -> None:
    """Add a tag, or replace what is known of it."""
    row = (organisation_id, tag.casefold(), name, person_id, int(blocked), expires_ms)
    columns = ("name", "person_id", "blocked", "expires_ms")
    await tx.upsert_many(tags, ("organisation_id", "tag"), columns, [row])
