"""What programs sign in with: API tokens, and app passwords for those that know no tokens. Only hashes are kept.

Each is for one organisation and ends with the membership: somebody who becomes a member again makes new ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec
from sqlalchemy import and_, bindparam, case, delete, exists, func, or_, select, update

from borne.store.db import Reader, Row, Transaction
from borne.store.schema import api_tokens, identities, identity_providers, memberships, organisations, people
from borne.store.second_factor import has_any
from borne.store.tenancy import across

Kind = Literal["token", "password"]
SHOWN = 100

# A second factor of the person's own, or that of an identity provider which the organisation trusts with it.
_trusted = exists(
    select(identities.c.person_id).where(
        identities.c.person_id == api_tokens.c.person_id,
        identity_providers.c.id == identities.c.provider_id,
        identity_providers.c.organisation_id == api_tokens.c.organisation_id,
        identity_providers.c.covers_second_factor == 1,
        identity_providers.c.disabled == 0,
    )
)
_by_hash = across(
    select(
        api_tokens.c.id,
        api_tokens.c.person_id,
        api_tokens.c.organisation_id,
        api_tokens.c.name,
        api_tokens.c.scopes,
        api_tokens.c.expires_ms,
        api_tokens.c.used_ms,
        api_tokens.c.used_address,
        people.c.name.label("person_name"),
        people.c.email,
        memberships.c.role,
        memberships.c.expires_ms.label("membership_expires_ms"),
        organisations.c.name.label("organisation_name"),
        organisations.c.plan,
        organisations.c.requires_second_factor,
        case((or_(has_any() == 1, _trusted), 1), else_=0).label("has_second_factor"),
    ).where(
        api_tokens.c.token_hash == bindparam("token_hash"),
        api_tokens.c.kind == bindparam("kind"),
        or_(api_tokens.c.expires_ms.is_(None), api_tokens.c.expires_ms > bindparam("now_ms")),
        people.c.id == api_tokens.c.person_id,
        people.c.disabled == 0,
        memberships.c.person_id == api_tokens.c.person_id,
        memberships.c.organisation_id == api_tokens.c.organisation_id,
        memberships.c.created_ms <= api_tokens.c.created_ms,
        or_(memberships.c.expires_ms.is_(None), memberships.c.expires_ms > bindparam("now_ms")),
        organisations.c.id == api_tokens.c.organisation_id,
    ),
    "the secret says which organisation it is for",
)
_of_person = across(
    select(
        api_tokens.c.id,
        api_tokens.c.kind,
        api_tokens.c.name,
        api_tokens.c.scopes,
        api_tokens.c.created_ms,
        api_tokens.c.expires_ms,
        api_tokens.c.used_ms,
        api_tokens.c.used_address,
        organisations.c.name.label("organisation_name"),
    )
    .select_from(
        api_tokens.join(organisations, organisations.c.id == api_tokens.c.organisation_id).join(
            memberships,
            and_(
                memberships.c.person_id == api_tokens.c.person_id,
                memberships.c.organisation_id == api_tokens.c.organisation_id,
                memberships.c.created_ms <= api_tokens.c.created_ms,
            ),
        )
    )
    .where(api_tokens.c.person_id == bindparam("person_id"))
    .order_by(api_tokens.c.id.desc())
    .limit(SHOWN),
    "a person's own tokens, for whichever organisation",
)
_count = across(
    select(func.count()).where(api_tokens.c.person_id == bindparam("person_id")),
    "a person's own tokens, for whichever organisation",
)
_used = (
    update(api_tokens)
    .where(api_tokens.c.id == bindparam("token_id"), api_tokens.c.organisation_id == bindparam("of_organisation_id"))
    .values(used_ms=bindparam("now_ms"), used_address=bindparam("address"))
)
_own = (api_tokens.c.id == bindparam("token_id"), api_tokens.c.person_id == bindparam("person_id"))
_revoke = across(delete(api_tokens).where(*_own), "one of a person's own tokens")
_name_of = across(select(api_tokens.c.name, api_tokens.c.organisation_id).where(*_own), "one of a person's own tokens")
COLUMNS = ("person_id", "organisation_id", "kind", "name", "token_hash", "scopes", "created_ms", "expires_ms")


async def by_hash(db: Reader, token_hash: bytes, kind: Kind, now_ms: int) -> Row | None:
    """The token, its person, membership and organisation; None when it or the membership is over, or the person disabled.

    has_second_factor: 1 when the person has one, or an identity provider that the organisation trusts asks for one.
    """
    return await db.first(_by_hash, {"token_hash": token_hash, "kind": kind, "now_ms": now_ms}, fast=True)


async def of_person(db: Reader, person_id: int) -> list[Row]:
    """Rows of id, kind, name, scopes (JSON), created_ms, expires_ms, used_ms, used_address, organisation_name; newest first."""
    return await db.all(_of_person, {"person_id": person_id}, fast=True)


async def count(db: Reader, person_id: int) -> int:
    return int(await db.value(_count, {"person_id": person_id}, fast=True))


async def add(
    tx: Transaction,
    *,
    person_id: int,
    organisation_id: int,
    kind: Kind,
    name: str,
    token_hash: bytes,
    scopes: Sequence[str],
    now_ms: int,
    expires_ms: int | None,
) -> int:
    text = msgspec.json.encode(scopes).decode()
    row = (person_id, organisation_id, kind, name, token_hash, text, now_ms, expires_ms)
    return (await tx.insert_ids(api_tokens, COLUMNS, [row]))[0]


async def used(tx: Transaction, organisation_id: int, token_id: int, now_ms: int, address: str) -> None:
    values = {"token_id": token_id, "of_organisation_id": organisation_id, "now_ms": now_ms, "address": address}
    await tx.run(_used, values)


async def revoke(tx: Transaction, person_id: int, token_id: int) -> Row | None:
    """End a token if it is this person's: its name and organisation_id; None when there is none."""
    values = {"token_id": token_id, "person_id": person_id}
    row = await tx.first(_name_of, values)
    return row if row is not None and await tx.run(_revoke, values) else None
