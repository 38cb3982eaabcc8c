"""Invitations: mails with a link that makes somebody a member, once. Only hashes of the links' tokens are kept.

An invitation is open until it is accepted or revoked, also once its link has expired: it can be sent again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from sqlalchemy import and_, bindparam, delete, func, insert, select, update

from borne.core.scope import Role
from borne.store.charger_list import search_text
from borne.store.db import Reader, Row, Transaction
from borne.store.schema import (
    access_group_people,
    access_groups,
    invitation_locations,
    invitations,
    locations,
    memberships,
    organisations,
    people,
    tags,
)
from borne.store.tenancy import across

AT_ONCE = 500  # values of one IN list

V = invitations.c
is_open = and_(V.accepted_ms.is_(None), V.revoked_ms.is_(None))
_in_organisation = V.organisation_id == bindparam("of_organisation_id")
_mine = (_in_organisation, V.id == bindparam("invitation_id"))

_open_to = select(V.email, V.id, V.expires_ms).where(
    _in_organisation, is_open, V.email.in_(bindparam("emails", expanding=True))
)
_open_key = select(V.token_hash).where(_in_organisation, is_open, V.email == bindparam("email"))
_members = (
    select(people.c.email, people.c.id, memberships.c.role, memberships.c.expires_ms)
    .join(memberships, memberships.c.person_id == people.c.id)
    .where(
        people.c.email.in_(bindparam("emails", expanding=True)),
        memberships.c.organisation_id == bindparam("of_organisation_id"),
    )
)
# A tag of somebody who left stays in the history as theirs, and may be given to another.
_is_owned = (
    select(memberships.c.person_id)
    .where(
        memberships.c.organisation_id == bindparam("of_organisation_id"), memberships.c.person_id == tags.c.person_id
    )
    .exists()
)
_owned_tags = select(tags.c.tag).where(
    tags.c.organisation_id == bindparam("of_organisation_id"),
    tags.c.tag.in_(bindparam("tags", expanding=True)),
    _is_owned,
)
_groups = select(access_groups.c.id, access_groups.c.name).where(
    access_groups.c.organisation_id == bindparam("of_organisation_id")
)
_count_since = select(func.count()).where(_in_organisation, V.created_ms > bindparam("since_ms"))
_columns = (
    V.id, V.organisation_id, V.email, V.name, V.role, V.access_group_id, V.tags, V.language, V.membership_expires_ms, V.person_id,
    V.person_name, V.created_ms, V.sent_ms, V.expires_ms, V.accepted_ms, V.revoked_ms,
    organisations.c.name.label("organisation_name"), organisations.c.plan,
)  # fmt: skip
_whole = select(*_columns).join(organisations, organisations.c.id == V.organisation_id)
_by_token = across(
    _whole.where(V.token_hash == bindparam("token_hash")),
    "whoever holds the link is let in by it, before anybody is known",
)
_by_id = _whole.where(*_mine)
_unsent = _whole.where(_in_organisation, is_open, V.sent_ms.is_(None)).order_by(V.id).limit(bindparam("most"))
_send = (
    update(invitations)
    .where(*_mine, is_open)
    .values(token_hash=bindparam("new_token_hash"), sent_ms=bindparam("now_ms"), expires_ms=bindparam("until_ms"))
)
_take = across(
    update(invitations)
    .where(V.token_hash == bindparam("of_token_hash"), is_open, V.expires_ms > bindparam("now_ms"))
    .values(accepted_ms=bindparam("now_ms")),
    "whoever holds the link is let in by it, before anybody is known",
)
_revoke = update(invitations).where(*_mine, is_open).values(revoked_ms=bindparam("now_ms"))
_revoke_expired = (
    update(invitations)
    .where(
        _in_organisation,
        is_open,
        V.expires_ms <= bindparam("now_ms"),
        V.email.in_(bindparam("emails", expanding=True)),
    )
    .values(revoked_ms=bindparam("now_ms"))
)
_locations = (
    select(locations.c.id, locations.c.name)
    .join(invitation_locations, invitation_locations.c.location_id == locations.c.id)
    .where(
        invitation_locations.c.organisation_id == bindparam("of_organisation_id"),
        invitation_locations.c.invitation_id == bindparam("invitation_id"),
        locations.c.organisation_id == bindparam("of_organisation_id"),
    )
    .order_by(locations.c.name, locations.c.id)
)
_join_group = insert(access_group_people).from_select(
    ["organisation_id", "access_group_id", "person_id"],
    select(access_groups.c.organisation_id, access_groups.c.id, bindparam("for_person_id", type_=V.id.type)).where(
        access_groups.c.organisation_id == bindparam("of_organisation_id"),
        access_groups.c.id == bindparam("group_id"),
        ~select(access_group_people.c.person_id)
        .where(
            access_group_people.c.organisation_id == bindparam("of_organisation_id"),
            access_group_people.c.access_group_id == bindparam("group_id"),
            access_group_people.c.person_id == bindparam("for_person_id"),
        )
        .exists(),
    ),
)
_give_tags = (
    update(tags)
    .where(
        tags.c.organisation_id == bindparam("of_organisation_id"),
        tags.c.tag.in_(bindparam("tags", expanding=True)),
        ~_is_owned,
    )
    .values(person_id=bindparam("for_person_id"))
)
_old = (
    select(V.id)
    .where(V.organisation_id == bindparam("of_organisation_id"), ~is_open, V.created_ms < bindparam("before_ms"))
    .limit(1_000)
)
_forget_locations = delete(invitation_locations).where(
    invitation_locations.c.organisation_id == bindparam("of_organisation_id"),
    invitation_locations.c.invitation_id.in_(_old),
)
_forget = delete(invitations).where(_in_organisation, V.id.in_(_old))


class NewInvitation(msgspec.Struct, frozen=True, kw_only=True):
    """Whom to invite as what. `email` and `tags` are casefolded; `membership_expires_ms`: their access ends then."""

    email: str
    role: Role
    name: str = ""
    location_ids: tuple[int, ...] = ()
    access_group_id: int | None = None
    tags: tuple[str, ...] = ()
    language: str | None = None
    membership_expires_ms: int | None = None


def link_until(expires_ms: int, membership_expires_ms: int | None) -> int:
    """When a link ends: not after the access that it gives."""
    return expires_ms if membership_expires_ms is None else min(expires_ms, membership_expires_ms)


def _parts(values: Iterable[Any]) -> Iterable[list[Any]]:
    found = list(dict.fromkeys(values))
    return (found[first : first + AT_ONCE] for first in range(0, len(found), AT_ONCE))


async def open_to(db: Reader, organisation_id: int, emails: Iterable[str]) -> dict[str, Row]:
    """The open invitations (email, id, expires_ms) to these addresses, by address."""
    found: dict[str, Row] = {}
    for part in _parts(emails):
        rows = await db.all(_open_to, {"of_organisation_id": organisation_id, "emails": part})
        found |= {row.email: row for row in rows}
    return found


async def open_key(db: Reader, organisation_id: int, email: str) -> bytes | None:
    """The hash of the link of the open invitation to an address."""
    found: bytes | None = await db.value(_open_key, {"of_organisation_id": organisation_id, "email": email})
    return found


async def members_with(db: Reader, organisation_id: int, emails: Iterable[str]) -> dict[str, Row]:
    """The members (email, id, role, expires_ms) who have these addresses, by address."""
    found: dict[str, Row] = {}
    for part in _parts(emails):
        rows = await db.all(_members, {"of_organisation_id": organisation_id, "emails": part})
        found |= {row.email: row for row in rows}
    return found


async def owned_tags(db: Reader, organisation_id: int, wanted: Iterable[str]) -> set[str]:
    """Those of the tags that are somebody's."""
    found: set[str] = set()
    for part in _parts(wanted):
        rows = await db.all(_owned_tags, {"of_organisation_id": organisation_id, "tags": part})
        found |= {row.tag for row in rows}
    return found


async def groups(db: Reader, organisation_id: int) -> dict[int, str]:
    """The access groups of an organisation: their names by id."""
    rows = await db.all(_groups, {"of_organisation_id": organisation_id})
    return {row.id: row.name for row in sorted(rows, key=lambda row: search_text(row.name))}


async def count_since(db: Reader, organisation_id: int, since_ms: int) -> int:
    """How many were made since."""
    return int(await db.value(_count_since, {"of_organisation_id": organisation_id, "since_ms": since_ms}))


async def add_many(
    tx: Transaction,
    organisation_id: int,
    wanted: Sequence[NewInvitation],
    token_hashes: Sequence[bytes],
    *,
    person_id: int | None,
    person_name: str,
    now_ms: int,
    expires_ms: int,
) -> list[int]:
    """Add invitations whose mails are still to be sent; their ids. The hashes are of tokens that nobody has.

    Expired ones to the same addresses are over. Raises Conflict where one is open.
    """
    for part in _parts(one.email for one in wanted):
        await tx.run(_revoke_expired, {"of_organisation_id": organisation_id, "emails": part, "now_ms": now_ms})
    columns = (
        "organisation_id", "email", "name", "search", "role", "access_group_id", "tags", "language", "membership_expires_ms",
        "token_hash", "person_id", "person_name", "created_ms", "expires_ms",
    )  # fmt: skip
    rows = [
        (
            organisation_id, one.email, one.name, search_text(one.name or one.email, one.email), one.role, one.access_group_id,
            msgspec.json.encode(one.tags).decode(), one.language, one.membership_expires_ms, token_hash, person_id, person_name,
            now_ms, link_until(expires_ms, one.membership_expires_ms),
        )
        for one, token_hash in zip(wanted, token_hashes, strict=True)
    ]  # fmt: skip
    ids = await tx.insert_ids(invitations, columns, rows)
    places = [
        (invitation_id, organisation_id, location_id)
        for invitation_id, one in zip(ids, wanted, strict=True)
        for location_id in dict.fromkeys(one.location_ids)
    ]
    if places:
        await tx.insert_many(invitation_locations, ("invitation_id", "organisation_id", "location_id"), places)
    return ids


async def unsent(db: Reader, organisation_id: int, limit: int) -> list[Row]:
    """Open invitations whose mail is still to be written, the oldest first; columns as `by_token`."""
    return await db.all(_unsent, {"of_organisation_id": organisation_id, "most": limit})


async def send(
    tx: Transaction, organisation_id: int, invitation_id: int, token_hash: bytes, now_ms: int, expires_ms: int
) -> bool:
    """Give an open invitation a new token; the one before stops working. False: it is not open."""
    values = {"new_token_hash": token_hash, "now_ms": now_ms, "until_ms": expires_ms}
    return bool(await tx.run(_send, {"of_organisation_id": organisation_id, "invitation_id": invitation_id, **values}))


async def by_token(db: Reader, token_hash: bytes) -> Row | None:
    """The invitation that a link names, whatever became of it: its columns, organisation_name, plan."""
    return await db.first(_by_token, {"token_hash": token_hash}, fast=True)


async def by_id(db: Reader, organisation_id: int, invitation_id: int) -> Row | None:
    """An invitation of an organisation; columns as `by_token`."""
    return await db.first(_by_id, {"of_organisation_id": organisation_id, "invitation_id": invitation_id}, fast=True)


async def locations_of(db: Reader, organisation_id: int, invitation_id: int) -> list[Row]:
    """id and name of its locations that still exist, by name."""
    return await db.all(_locations, {"of_organisation_id": organisation_id, "invitation_id": invitation_id})


async def take(tx: Transaction, token_hash: bytes, now_ms: int) -> bool:
    """Accept it. False: it was accepted or revoked, or it expired. Of two at once only one is told True."""
    return bool(await tx.run(_take, {"of_token_hash": token_hash, "now_ms": now_ms}))


async def revoke(tx: Transaction, organisation_id: int, invitation_id: int, now_ms: int) -> bool:
    """Take it back. False: it is not open."""
    wanted = {"of_organisation_id": organisation_id, "invitation_id": invitation_id, "now_ms": now_ms}
    return bool(await tx.run(_revoke, wanted))


async def join_group(tx: Transaction, organisation_id: int, group_id: int, person_id: int) -> None:
    """Put somebody into an access group, if it still exists."""
    wanted = {"of_organisation_id": organisation_id, "group_id": group_id, "for_person_id": person_id}
    await tx.run(_join_group, wanted)


async def give_tags(
    tx: Transaction, organisation_id: int, wanted: Sequence[str], person_id: int, name: str, now_ms: int
) -> None:
    """Make tags somebody's: new ones, and those that are no member's. Tags of others stay theirs."""
    if not wanted:
        return
    rows = [(organisation_id, tag, name, person_id, now_ms) for tag in dict.fromkeys(wanted)]
    await tx.upsert_many(tags, ("organisation_id", "tag"), ("name", "person_id", "created_ms"), rows, keep=True)
    of_these = {"of_organisation_id": organisation_id, "tags": list(wanted), "for_person_id": person_id}
    await tx.run(_give_tags, of_these)


async def forget(tx: Transaction, organisation_id: int, before_ms: int) -> None:
    """Delete some of those that were made before and are open no more: they hold addresses of people."""
    of_these = {"of_organisation_id": organisation_id, "before_ms": before_ms}
    await tx.run(_forget_locations, of_these)
    await tx.run(_forget, of_these)
