"""People: accounts, their roles, and the first ones of an installation."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import bindparam, delete, func, insert, or_, select, update

from borne.store.charger_list import search_text
from borne.store.db import Reader, Row, Transaction
from borne.store.schema import (
    access_group_people,
    api_tokens,
    assignments,
    chargers,
    locations,
    logins,
    membership_locations,
    memberships,
    notices,
    notification_rules,
    organisations,
    people,
    settings,
)
from borne.store.tenancy import across

INSTALLED = "installed"  # the row of `settings` that only one setup can make

_any = across(select(people.c.id).limit(1), "whether the installation is new")
_by_email = select(
    people.c.id, people.c.name, people.c.email, people.c.password_hash, people.c.language, people.c.disabled
).where(people.c.email == bindparam("email"))
_by_id = select(
    people.c.id, people.c.name, people.c.email, people.c.password_hash, people.c.language, people.c.disabled
).where(people.c.id == bindparam("person_id"))
_set_password = (
    update(people).where(people.c.id == bindparam("person_id")).values(password_hash=bindparam("new_password_hash"))
)
_set_language = update(people).where(people.c.id == bindparam("person_id")).values(language=bindparam("new_language"))
_set_name = update(people).where(people.c.id == bindparam("person_id")).values(name=bindparam("new_name"))
_mark_installed = insert(settings).values(name=bindparam("setting"), value=bindparam("at"))

_no_locations = delete(membership_locations).where(
    membership_locations.c.person_id == bindparam("person_id"),
    membership_locations.c.organisation_id == bindparam("organisation_id"),
)

_set_search = across(
    update(memberships)
    .where(memberships.c.person_id == bindparam("of_person_id"))
    .values(search=bindparam("new_search")),
    "a person's name is found in all their organisations",
)
_mine = (
    memberships.c.organisation_id == bindparam("of_organisation_id"),
    memberships.c.person_id == bindparam("of_person_id"),
)
_member = select(
    people.c.id,
    people.c.name,
    people.c.email,
    people.c.disabled,
    memberships.c.role,
    memberships.c.created_ms,
    memberships.c.expires_ms,
    memberships.c.seen_ms,
).where(*_mine, people.c.id == memberships.c.person_id)
_member_locations = (
    select(locations.c.id, locations.c.name)
    .where(
        membership_locations.c.organisation_id == bindparam("of_organisation_id"),
        membership_locations.c.person_id == bindparam("of_person_id"),
        locations.c.organisation_id == bindparam("of_organisation_id"),
        locations.c.id == membership_locations.c.location_id,
    )
    .order_by(locations.c.name, locations.c.id)
)
_lock = select(organisations.c.id).where(organisations.c.id == bindparam("organisation_id")).with_for_update()
_others_keep = (
    select(func.count())
    .select_from(memberships.join(people, people.c.id == memberships.c.person_id))
    .where(
        memberships.c.organisation_id == bindparam("of_organisation_id"),
        memberships.c.person_id != bindparam("but_person_id"),
        memberships.c.role == "super-admin",
        memberships.c.expires_ms.is_(None),
        people.c.disabled == 0,
        people.c.erased_ms.is_(None),
    )
)
_change = update(memberships).where(*_mine).values(role=bindparam("new_role"), expires_ms=bindparam("new_expires_ms"))
_seen = update(memberships).where(*_mine).values(seen_ms=bindparam("now_ms"))
_remove = (
    delete(membership_locations).where(
        membership_locations.c.organisation_id == bindparam("of_organisation_id"),
        membership_locations.c.person_id == bindparam("of_person_id"),
    ),
    delete(assignments).where(
        assignments.c.person_id == bindparam("of_person_id"),
        assignments.c.charger_id.in_(
            select(chargers.c.id).where(chargers.c.organisation_id == bindparam("of_organisation_id"))
        ),
    ),
    *(
        delete(table).where(
            table.c.organisation_id == bindparam("of_organisation_id"), table.c.person_id == bindparam("of_person_id")
        )
        for table in (access_group_people, api_tokens, notification_rules, notices, memberships)
    ),
)
_other_memberships = (
    select(memberships.c.person_id)
    .where(
        memberships.c.person_id == bindparam("of_person_id"),
        memberships.c.organisation_id != bindparam("of_organisation_id"),
    )
    .exists()
)
_logins_here = across(
    select(logins.c.created_ms, logins.c.seen_ms, logins.c.agent)
    .where(
        logins.c.person_id == bindparam("of_person_id"),
        logins.c.expires_ms > bindparam("now_ms"),
        or_(
            logins.c.organisation_id == bindparam("of_organisation_id"),
            logins.c.organisation_id.is_(None) & ~_other_memberships,
        ),
    )
    .order_by(logins.c.seen_ms.desc(), logins.c.token_hash)
    .limit(5),
    "a login without an organisation is shown where its person has no other",
)


async def exist(db: Reader) -> bool:
    """Whether anybody has an account."""
    return await db.first(_any) is not None


async def by_email(db: Reader, email: str) -> Row | None:
    """id, name, email, password_hash, language, disabled of whoever has this address (casefolded); None for nobody."""
    return await db.first(_by_email, {"email": email})


async def by_id(db: Reader, person_id: int) -> Row | None:
    return await db.first(_by_id, {"person_id": person_id})


async def set_password(tx: Transaction, person_id: int, password_hash: str) -> None:
    await tx.run(_set_password, {"person_id": person_id, "new_password_hash": password_hash})


async def set_language(tx: Transaction, person_id: int, language: str | None) -> None:
    await tx.run(_set_language, {"person_id": person_id, "new_language": language})


async def set_name(tx: Transaction, person_id: int, name: str) -> None:
    await tx.run(_set_name, {"person_id": person_id, "new_name": name})
    await index(tx, person_id)


async def index(tx: Transaction, person_id: int) -> None:
    """Let lists find a person by their name and e-mail as they are now, in each of their organisations."""
    found = await by_id(tx, person_id)
    if found is not None:
        await tx.run(_set_search, {"of_person_id": person_id, "new_search": search_text(found.name, found.email)})


async def mark_installed(tx: Transaction, now_ms: int) -> None:
    """Fails (a broken unique key) for all but the first who tries: two setups at once make one account."""
    await tx.run(_mark_installed, {"setting": INSTALLED, "at": str(now_ms)})


async def add_person(
    tx: Transaction,
    *,
    email: str,
    name: str,
    password_hash: str | None,
    language: str | None,
    operates_installation: bool,
    now_ms: int,
) -> int:
    columns = ("email", "name", "password_hash", "language", "operates_installation", "created_ms")
    row = (email, name, password_hash, language, int(operates_installation), now_ms)
    return int((await tx.insert_ids(people, columns, [row]))[0])


async def add_membership(
    tx: Transaction, *, person_id: int, organisation_id: int, role: str, now_ms: int = 0, expires_ms: int | None = None
) -> None:
    """Make somebody a member; until `expires_ms`, if that is not None."""
    columns = ("person_id", "organisation_id", "role", "created_ms", "expires_ms")
    await tx.insert_many(memberships, columns, [(person_id, organisation_id, role, now_ms, expires_ms)])
    await index(tx, person_id)


async def set_locations(tx: Transaction, *, person_id: int, organisation_id: int, location_ids: Sequence[int]) -> None:
    """The locations that an admin or operator runs; others are taken away."""
    await tx.run(_no_locations, {"person_id": person_id, "organisation_id": organisation_id})
    rows = [(person_id, organisation_id, location_id) for location_id in dict.fromkeys(location_ids)]
    if rows:
        await tx.insert_many(membership_locations, ("person_id", "organisation_id", "location_id"), rows)


async def assign(tx: Transaction, *, person_id: int, charger_ids: Sequence[int]) -> None:
    """Let a user see and use these chargers too."""
    rows = [(person_id, charger_id) for charger_id in dict.fromkeys(charger_ids)]
    if rows:
        await tx.upsert_many(assignments, ("person_id", "charger_id"), (), rows, keep=True)


# ---- members of one organisation -------------------------------------------------------------------------------------


def _key(organisation_id: int, person_id: int) -> dict[str, int]:
    return {"of_organisation_id": organisation_id, "of_person_id": person_id}


async def member(db: Reader, organisation_id: int, person_id: int) -> Row | None:
    """id, name, email, disabled, role, created_ms, expires_ms, seen_ms of a member, also of one whose access is over."""
    return await db.first(_member, _key(organisation_id, person_id), fast=True)


async def locations_of(db: Reader, organisation_id: int, person_id: int) -> list[Row]:
    """id and name of a member's locations, by name."""
    return await db.all(_member_locations, _key(organisation_id, person_id), fast=True)


async def lock_members(tx: Transaction, organisation_id: int) -> None:
    """Nobody else changes who belongs to the organisation before this transaction ends. Read what decides after it."""
    await tx.first(_lock, {"organisation_id": organisation_id})


async def others_keep_house(db: Reader, organisation_id: int, person_id: int) -> bool:
    """Whether a super-admin without an end remains when this person is left aside."""
    return bool(await db.value(_others_keep, {"of_organisation_id": organisation_id, "but_person_id": person_id}))


async def change_membership(
    tx: Transaction, *, organisation_id: int, person_id: int, role: str, expires_ms: int | None
) -> None:
    """Give a member a role, and an end (None: none)."""
    key = _key(organisation_id, person_id)
    await tx.run(_change, {**key, "new_role": role, "new_expires_ms": expires_ms})


async def saw(tx: Transaction, organisation_id: int, person_id: int, now_ms: int) -> None:
    """Note that a member looked at the organisation."""
    await tx.run(_seen, {**_key(organisation_id, person_id), "now_ms": now_ms})


async def remove_membership(tx: Transaction, organisation_id: int, person_id: int) -> None:
    """Take somebody out of an organisation, with all they may do there. Their history and their tags' names stay."""
    for statement in _remove:
        await tx.run(statement, _key(organisation_id, person_id))


async def logins_here(db: Reader, organisation_id: int, person_id: int, now_ms: int) -> list[Row]:
    """created_ms, seen_ms, agent of a member's newest logins, five at most; not those that look at another organisation."""
    return await db.all(_logins_here, {**_key(organisation_id, person_id), "now_ms": now_ms}, fast=True)
