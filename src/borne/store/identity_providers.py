"""Identity providers of organisations (OpenID Connect), and whom each of them knows."""

from __future__ import annotations

from typing import Any

from sqlalchemy import bindparam, delete, func, or_, select, update

from borne.store.db import Reader, Row, Transaction
from borne.store.schema import (
    identities,
    identity_providers,
    invitations,
    logins,
    memberships,
    organisations,
    people,
)
from borne.store.tenancy import across

P = identity_providers.c
_mine = (P.organisation_id == bindparam("of_organisation_id"), P.id == bindparam("provider_id"))
_of_mine = select(P.id).where(*_mine)

_all = select(identity_providers).where(P.organisation_id == bindparam("of_organisation_id")).order_by(P.name, P.id)
_by_id = select(identity_providers).where(*_mine)
_by_slug = across(
    select(identity_providers, organisations.c.name.label("organisation_name")).where(
        P.slug == bindparam("slug"), P.disabled == 0, organisations.c.id == P.organisation_id
    ),
    "whoever has the address of its login page belongs to nothing yet",
)
_offered = across(
    select(P.slug, P.name, organisations.c.name.label("organisation_name"))
    .where(
        P.disabled == 0,
        organisations.c.id == P.organisation_id,
        or_(
            select(memberships.c.person_id)
            .where(
                memberships.c.organisation_id == P.organisation_id,
                memberships.c.person_id == people.c.id,
                people.c.email == bindparam("email"),
                people.c.disabled == 0,
                or_(memberships.c.expires_ms.is_(None), memberships.c.expires_ms > bindparam("now_ms")),
            )
            .exists(),
            select(invitations.c.id)
            .where(
                invitations.c.organisation_id == P.organisation_id,
                invitations.c.email == bindparam("email"),
                invitations.c.accepted_ms.is_(None),
                invitations.c.revoked_ms.is_(None),
                invitations.c.expires_ms > bindparam("now_ms"),
            )
            .exists(),
        ),
    )
    .order_by(organisations.c.name, P.name, P.id)
    .limit(20),
    "a person's own, in all their organisations",
)
_update = (
    update(identity_providers)
    .where(*_mine)
    .values(
        name=bindparam("new_name"),
        issuer=bindparam("new_issuer"),
        client_id=bindparam("new_client_id"),
        client_secret=bindparam("new_client_secret"),
        covers_second_factor=bindparam("covers"),
    )
)
_set_disabled = update(identity_providers).where(*_mine).values(disabled=bindparam("is_disabled"))
_delete = delete(identity_providers).where(*_mine)
_end_logins = delete(logins).where(logins.c.provider_id.in_(_of_mine))
_forget_all = delete(identities).where(identities.c.provider_id.in_(_of_mine))
_linked_count = select(func.count()).where(identities.c.provider_id.in_(_of_mine))
_linked = (
    select(people.c.id, people.c.name, people.c.email, identities.c.subject, identities.c.created_ms)
    .join(identities, identities.c.person_id == people.c.id)
    .where(identities.c.provider_id.in_(_of_mine), people.c.email == bindparam("email"))
)
_forget = delete(identities).where(
    identities.c.provider_id.in_(_of_mine), identities.c.person_id == bindparam("the_person_id")
)
_end_logins_of = delete(logins).where(
    logins.c.provider_id.in_(_of_mine), logins.c.person_id == bindparam("the_person_id")
)
_by_subject = (
    select(people.c.id, people.c.name, people.c.email, people.c.disabled)
    .join(identities, identities.c.person_id == people.c.id)
    .where(identities.c.provider_id.in_(_of_mine), identities.c.subject == bindparam("subject"))
)
_of_person = select(identities.c.subject).where(
    identities.c.provider_id.in_(_of_mine), identities.c.person_id == bindparam("the_person_id")
)


def _key(organisation_id: int, provider_id: int, **more: Any) -> dict[str, Any]:
    return {"of_organisation_id": organisation_id, "provider_id": provider_id, **more}


async def of_organisation(db: Reader, organisation_id: int) -> list[Row]:
    """All columns of its providers, by name."""
    return await db.all(_all, {"of_organisation_id": organisation_id})


async def by_id(db: Reader, organisation_id: int, provider_id: int) -> Row | None:
    return await db.first(_by_id, _key(organisation_id, provider_id))


async def by_slug(db: Reader, slug: str) -> Row | None:
    """The provider whose login page has this address, and organisation_name; None for none, or a disabled one."""
    return await db.first(_by_slug, {"slug": slug}, fast=True)


async def offered_to(db: Reader, email: str, now_ms: int) -> list[Row]:
    """slug, name, organisation_name of the providers of the organisations that this address belongs to, or is invited to."""
    return await db.all(_offered, {"email": email, "now_ms": now_ms})


async def add(
    tx: Transaction,
    organisation_id: int,
    *,
    slug: str,
    name: str,
    issuer: str,
    client_id: str,
    client_secret: bytes | None,
    covers_second_factor: bool,
    now_ms: int,
) -> int:
    """Add a provider, disabled until it is tried; its id. `client_secret`: closed (store.box)."""
    return await tx.insert(
        identity_providers,
        {
            "organisation_id": organisation_id,
            "slug": slug,
            "name": name,
            "issuer": issuer,
            "client_id": client_id,
            "client_secret": client_secret,
            "covers_second_factor": int(covers_second_factor),
            "disabled": 1,
            "created_ms": now_ms,
        },
    )


async def describe(
    tx: Transaction,
    organisation_id: int,
    provider_id: int,
    *,
    name: str,
    issuer: str,
    client_id: str,
    client_secret: bytes | None,
    covers_second_factor: bool,
) -> bool:
    """Change it. False: no such provider."""
    values = {
        "new_name": name,
        "new_issuer": issuer,
        "new_client_id": client_id,
        "new_client_secret": client_secret,
        "covers": int(covers_second_factor),
    }
    return await tx.run(_update, _key(organisation_id, provider_id, **values)) == 1


async def set_disabled(tx: Transaction, organisation_id: int, provider_id: int, disabled: bool) -> bool:
    """Let nobody in by it any more, or again. Whoever is in stays until `end_logins`. False: no such provider."""
    return await tx.run(_set_disabled, _key(organisation_id, provider_id, is_disabled=int(disabled))) == 1


async def end_logins(tx: Transaction, organisation_id: int, provider_id: int) -> int:
    """End all logins that came by it; how many."""
    return await tx.run(_end_logins, _key(organisation_id, provider_id))


async def forget_all(tx: Transaction, organisation_id: int, provider_id: int) -> int:
    """Forget whom it knows: they are found again by their verified addresses."""
    return await tx.run(_forget_all, _key(organisation_id, provider_id))


async def remove(tx: Transaction, organisation_id: int, provider_id: int) -> bool:
    """Delete it with whom it knows and their logins. False: no such provider."""
    await end_logins(tx, organisation_id, provider_id)
    await forget_all(tx, organisation_id, provider_id)
    return await tx.run(_delete, _key(organisation_id, provider_id)) == 1


# ---- whom it knows -----------------------------------------------------------------------------------------------------


async def linked_count(db: Reader, organisation_id: int, provider_id: int) -> int:
    """How many people it knows."""
    return int(await db.value(_linked_count, _key(organisation_id, provider_id)))


async def forget(tx: Transaction, organisation_id: int, provider_id: int, email: str) -> Row | None:
    """Forget whom it knows by this address, and end their logins by it; the person, None for nobody."""
    person = await tx.first(_linked, _key(organisation_id, provider_id, email=email))
    if person is not None:
        key = _key(organisation_id, provider_id, the_person_id=person.id)
        await tx.run(_forget, key)
        await tx.run(_end_logins_of, key)
    return person


async def by_subject(db: Reader, organisation_id: int, provider_id: int, subject: str) -> Row | None:
    """id, name, email, disabled of whom it knows by this word."""
    return await db.first(_by_subject, _key(organisation_id, provider_id, subject=subject))


async def is_linked(db: Reader, organisation_id: int, provider_id: int, person_id: int) -> bool:
    """Whether it knows this person, by whatever word."""
    return await db.value(_of_person, _key(organisation_id, provider_id, the_person_id=person_id)) is not None


async def link(tx: Transaction, provider_id: int, subject: str, person_id: int, now_ms: int) -> bool:
    """Keep whom it knows by a word. False: somebody is known by it already."""
    columns = ("person_id", "created_ms")
    row = (provider_id, subject, person_id, now_ms)
    return await tx.upsert_many(identities, ("provider_id", "subject"), columns, [row], keep=True) == 1
