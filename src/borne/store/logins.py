"""Logins: the browser sessions of people, and the single-use links that reset a password. Only hashes of tokens are kept."""

from __future__ import annotations

from sqlalchemy import and_, bindparam, delete, insert, or_, select, update

from borne.store.db import Reader, Row, Transaction
from borne.store.schema import (
    access_group_chargers,
    access_group_people,
    assignments,
    chargers,
    consents,
    identity_providers,
    logins,
    membership_locations,
    memberships,
    organisations,
    password_resets,
    people,
)
from borne.store.second_factor import has_any
from borne.store.tenancy import across

_by_token = select(
    logins.c.person_id,
    logins.c.organisation_id,
    logins.c.created_ms,
    logins.c.seen_ms,
    logins.c.expires_ms,
    people.c.name,
    people.c.email,
    people.c.language,
    people.c.operates_installation,
    logins.c.second_factor,
    has_any().label("has_second_factor"),
    logins.c.provider_id,
    across(
        select(identity_providers.c.organisation_id).where(
            identity_providers.c.id == logins.c.provider_id, identity_providers.c.disabled == 0
        ),
        "a login names the provider that it came through",
    )
    .scalar_subquery()
    .label("provider_organisation_id"),
).where(
    logins.c.token_hash == bindparam("token_hash"),
    logins.c.expires_ms > bindparam("now_ms"),
    people.c.id == logins.c.person_id,
    people.c.disabled == 0,
)

_memberships = across(
    select(
        memberships.c.organisation_id,
        memberships.c.role,
        memberships.c.expires_ms,
        organisations.c.name,
        organisations.c.plan,
        organisations.c.requires_second_factor,
    )
    .where(
        memberships.c.person_id == bindparam("person_id"),
        or_(memberships.c.expires_ms.is_(None), memberships.c.expires_ms > bindparam("now_ms")),
        organisations.c.id == memberships.c.organisation_id,
    )
    .order_by(organisations.c.name, organisations.c.id),
    "a person's own, in all their organisations",
)

_locations = select(membership_locations.c.location_id).where(
    membership_locations.c.person_id == bindparam("person_id"),
    membership_locations.c.organisation_id == bindparam("organisation_id"),
)

_assignments = (
    select(assignments.c.charger_id)
    .join(chargers, chargers.c.id == assignments.c.charger_id)
    .where(
        assignments.c.person_id == bindparam("person_id"), chargers.c.organisation_id == bindparam("organisation_id")
    )
    .union(
        select(access_group_chargers.c.charger_id)
        .join(
            access_group_people,
            (access_group_people.c.access_group_id == access_group_chargers.c.access_group_id)
            & (access_group_people.c.organisation_id == access_group_chargers.c.organisation_id),
        )
        .where(
            access_group_people.c.person_id == bindparam("person_id"),
            access_group_people.c.organisation_id == bindparam("organisation_id"),
        )
    )
)

_consents = across(
    select(
        consents.c.organisation_id,
        consents.c.until_ms,
        organisations.c.name,
        organisations.c.plan,
        organisations.c.requires_second_factor,
    )
    .where(
        consents.c.person_id == bindparam("person_id"),
        consents.c.until_ms > bindparam("now_ms"),
        consents.c.ended_ms.is_(None),
        organisations.c.id == consents.c.organisation_id,
    )
    .order_by(organisations.c.name, organisations.c.id),
    "what organisations let this operator see",
)

_insert = insert(logins).values(
    token_hash=bindparam("token_hash"),
    person_id=bindparam("person_id"),
    organisation_id=bindparam("organisation_id"),
    created_ms=bindparam("now_ms"),
    seen_ms=bindparam("now_ms"),
    expires_ms=bindparam("expires_ms"),
    address=bindparam("address"),
    agent=bindparam("agent"),
    second_factor=bindparam("second_factor"),
    provider_id=bindparam("provider_id"),
)

_seen = (
    update(logins)
    .where(logins.c.token_hash == bindparam("token_hash"))
    .values(seen_ms=bindparam("now_ms"), expires_ms=bindparam("expires_ms"))
)
_into = (
    update(logins).where(logins.c.token_hash == bindparam("token_hash")).values(organisation_id=bindparam("into_id"))
)
_end = delete(logins).where(logins.c.token_hash == bindparam("token_hash"))
_end_one_of = delete(logins).where(
    logins.c.token_hash == bindparam("token_hash"), logins.c.person_id == bindparam("person_id")
)
_end_others = delete(logins).where(
    logins.c.person_id == bindparam("person_id"), logins.c.token_hash != bindparam("token_hash")
)
_end_expired = across(
    delete(logins).where(logins.c.expires_ms <= bindparam("now_ms")), "a sweep of what is over, of everybody"
)

_of_person = (
    select(logins.c.token_hash, logins.c.created_ms, logins.c.seen_ms, logins.c.address, logins.c.agent)
    .where(logins.c.person_id == bindparam("person_id"), logins.c.expires_ms > bindparam("now_ms"))
    .order_by(logins.c.seen_ms.desc(), logins.c.token_hash)
    .limit(100)
)

_insert_reset = insert(password_resets).values(
    token_hash=bindparam("token_hash"), person_id=bindparam("person_id"), expires_ms=bindparam("expires_ms")
)
_reset_usable = and_(
    password_resets.c.token_hash == bindparam("token_hash"),
    password_resets.c.expires_ms > bindparam("now_ms"),
    password_resets.c.used_ms.is_(None),
)
_reset_person = select(password_resets.c.person_id).where(_reset_usable)
_use_reset = update(password_resets).where(_reset_usable).values(used_ms=bindparam("now_ms"))
_drop_resets = across(
    delete(password_resets).where(
        or_(
            password_resets.c.expires_ms <= bindparam("now_ms"),
            password_resets.c.person_id == bindparam("person_id"),
        )
    ),
    "a sweep of what is over, of everybody",
)

_ended = select(logins.c.token_hash).where(logins.c.expires_ms < bindparam("before_ms")).limit(bindparam("most"))
_prune = across(delete(logins).where(logins.c.token_hash.in_(_ended)), "a sweep of what is over, of everybody")


async def by_token(db: Reader, token_hash: bytes, now_ms: int) -> Row | None:
    """The login and its person: person_id, organisation_id, created_ms, seen_ms, expires_ms, name, email, language,
    operates_installation, second_factor (this login passed one), has_second_factor, provider_id (it came through that one),
    provider_organisation_id (None: gone or disabled); None when it ended, expired, or the person is disabled."""
    return await db.first(_by_token, {"token_hash": token_hash, "now_ms": now_ms}, fast=True)


async def memberships_of(db: Reader, person_id: int, now_ms: int) -> list[Row]:
    """Rows of organisation_id, role, expires_ms, name, plan, requires_second_factor, by name; those that are over are none."""
    return await db.all(_memberships, {"person_id": person_id, "now_ms": now_ms}, fast=True)


async def consents_of(db: Reader, person_id: int, now_ms: int) -> list[Row]:
    """Organisations that let this operator of the installation look in now: organisation_id, until_ms, name, plan,
    requires_second_factor."""
    return await db.all(_consents, {"person_id": person_id, "now_ms": now_ms}, fast=True)


async def locations_of(db: Reader, person_id: int, organisation_id: int) -> tuple[int, ...]:
    rows = await db.all(_locations, {"person_id": person_id, "organisation_id": organisation_id}, fast=True)
    return tuple(row.location_id for row in rows)


async def chargers_of(db: Reader, person_id: int, organisation_id: int) -> tuple[int, ...]:
    """The chargers that a user may use in an organisation: assigned one by one, or by access groups."""
    wanted = {"person_id": person_id, "organisation_id": organisation_id}
    return tuple(row.charger_id for row in await db.all(_assignments, wanted))


async def start(
    tx: Transaction,
    *,
    token_hash: bytes,
    person_id: int,
    organisation_id: int | None,
    now_ms: int,
    expires_ms: int,
    address: str,
    agent: str,
    second_factor: bool = False,
    provider_id: int | None = None,
) -> None:
    """Add a login, and sweep away the expired ones of everybody. `provider_id`: it reaches that one's organisation alone."""
    await tx.run(_end_expired, {"now_ms": now_ms})
    await tx.run(
        _insert,
        {
            "token_hash": token_hash,
            "person_id": person_id,
            "organisation_id": organisation_id,
            "now_ms": now_ms,
            "expires_ms": expires_ms,
            "address": address,
            "agent": agent,
            "second_factor": int(second_factor),
            "provider_id": provider_id,
        },
    )


async def seen(tx: Transaction, token_hash: bytes, now_ms: int, expires_ms: int) -> None:
    await tx.run(_seen, {"token_hash": token_hash, "now_ms": now_ms, "expires_ms": expires_ms})


async def choose_organisation(tx: Transaction, token_hash: bytes, organisation_id: int) -> None:
    await tx.run(_into, {"token_hash": token_hash, "into_id": organisation_id})


async def end(tx: Transaction, token_hash: bytes) -> None:
    await tx.run(_end, {"token_hash": token_hash})


async def end_one_of(tx: Transaction, person_id: int, token_hash: bytes) -> int:
    """End a login if it is this person's; how many ended."""
    return int(await tx.run(_end_one_of, {"token_hash": token_hash, "person_id": person_id}))


async def end_others(tx: Transaction, person_id: int, kept_token_hash: bytes) -> None:
    """End all logins of a person except one (none is kept for `b""`)."""
    await tx.run(_end_others, {"person_id": person_id, "token_hash": kept_token_hash})


async def of_person(db: Reader, person_id: int, now_ms: int) -> list[Row]:
    """Rows of token_hash, created_ms, seen_ms, address, agent; the last seen first, at most 100."""
    return await db.all(_of_person, {"person_id": person_id, "now_ms": now_ms})


async def offer_reset(tx: Transaction, token_hash: bytes, person_id: int, now_ms: int, expires_ms: int) -> None:
    """Make the one link that is valid for this person; earlier ones stop working."""
    await tx.run(_drop_resets, {"now_ms": now_ms, "person_id": person_id})
    await tx.run(_insert_reset, {"token_hash": token_hash, "person_id": person_id, "expires_ms": expires_ms})


async def reset_person(db: Reader, token_hash: bytes, now_ms: int) -> int | None:
    """Whose password a usable link resets."""
    person_id = await db.value(_reset_person, {"token_hash": token_hash, "now_ms": now_ms})
    return None if person_id is None else int(person_id)


async def use_reset(tx: Transaction, token_hash: bytes, now_ms: int) -> bool:
    """Spend a link; False when it was spent, expired or never made. Of two at once only one is told True."""
    return bool(await tx.run(_use_reset, {"token_hash": token_hash, "now_ms": now_ms}))


async def prune(tx: Transaction, before_ms: int, limit: int = 2000) -> int:
    """Delete logins that ended before; returns how many."""
    return await tx.run(_prune, {"before_ms": before_ms, "most": limit})
