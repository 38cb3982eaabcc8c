"""People: accounts, their roles, and the first ones of an installation."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import bindparam, delete, insert, select, update

from borne.store.db import Reader, Row, Transaction
from borne.store.schema import assignments, membership_locations, memberships, people, settings

INSTALLED = "installed"  # the row of `settings` that only one setup can make

_any = select(people.c.id).limit(1)
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


async def add_membership(tx: Transaction, *, person_id: int, organisation_id: int, role: str) -> None:
    await tx.insert_many(memberships, ("person_id", "organisation_id", "role"), [(person_id, organisation_id, role)])


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
