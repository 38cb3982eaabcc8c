"""What the operator of the installation sees of all organisations: counts and names, nothing of what is inside them."""

from __future__ import annotations

from sqlalchemy import bindparam, case, func, or_, select

from borne.store.db import Reader, Row
from borne.store.schema import chargers, jobs, mails, memberships, organisations, people
from borne.store.second_factor import has_any
from borne.store.tenancy import across

PAGE_ROWS = 50
FOUND_MOST = 50
WHY = "the operator of the installation sees counts and names of all organisations"

_page = across(
    select(organisations.c.id, organisations.c.name, organisations.c.plan, organisations.c.created_ms)
    .where(func.lower(organisations.c.name).like(bindparam("pattern"), escape="\\"))
    .order_by(organisations.c.name, organisations.c.id)
    .limit(PAGE_ROWS)
    .offset(bindparam("skipped")),
    WHY,
)
_total = across(
    select(func.count())
    .select_from(organisations)
    .where(func.lower(organisations.c.name).like(bindparam("pattern"), escape="\\")),
    WHY,
)
_one = select(organisations).where(organisations.c.id == bindparam("organisation_id"))
_chargers = across(
    select(
        chargers.c.organisation_id,
        func.count().label("total"),
        func.sum(chargers.c.online).label("online"),
        func.sum(chargers.c.attention).label("attention"),
    )
    .where(chargers.c.organisation_id.in_(bindparam("ids", expanding=True)))
    .group_by(chargers.c.organisation_id),
    WHY,
)
_people = across(
    select(memberships.c.organisation_id, func.count().label("total"))
    .where(memberships.c.organisation_id.in_(bindparam("ids", expanding=True)))
    .group_by(memberships.c.organisation_id),
    WHY,
)
_super_admins = (
    select(
        people.c.id,
        people.c.name,
        people.c.email,
        people.c.language,
        has_any().label("has_factor"),
    )
    .join(memberships, memberships.c.person_id == people.c.id)
    .where(
        memberships.c.organisation_id == bindparam("organisation_id"),
        memberships.c.role == "super-admin",
        people.c.disabled == 0,
    )
    .order_by(people.c.name, people.c.id)
)
_found = across(
    select(
        chargers.c.id,
        chargers.c.serial,
        chargers.c.identity,
        chargers.c.model,
        chargers.c.online,
        chargers.c.last_seen_ms,
        organisations.c.id.label("organisation_id"),
        organisations.c.name.label("organisation"),
    )
    .join(organisations, organisations.c.id == chargers.c.organisation_id)
    .where(
        or_(
            func.lower(chargers.c.serial).like(bindparam("pattern"), escape="\\"),
            func.lower(chargers.c.identity).like(bindparam("pattern"), escape="\\"),
        )
    )
    .order_by(chargers.c.serial, chargers.c.id)
    .limit(FOUND_MOST),
    WHY,
)
_jobs = select(
    func.sum(case((jobs.c.done_ms.is_(None), 1), else_=0)).label("waiting"),
    func.sum(case((jobs.c.done_ms.is_(None) & (jobs.c.run_at_ms < bindparam("late_ms")), 1), else_=0)).label("late"),
    func.sum(case((jobs.c.done_ms.is_not(None) & jobs.c.error.is_not(None), 1), else_=0)).label("failed"),
)
_mails = select(func.count()).where(mails.c.sent_ms.is_(None), mails.c.error.is_not(None))


async def page(db: Reader, words: str, offset: int) -> tuple[list[Row], int]:
    """Organisations whose name holds the words (id, name, plan, created_ms), by name; and how many there are."""
    pattern = {"pattern": f"%{_escaped(words)}%"}
    return await db.all(_page, {**pattern, "skipped": offset}), int(await db.value(_total, pattern) or 0)


async def by_id(db: Reader, organisation_id: int) -> Row | None:
    return await db.first(_one, {"organisation_id": organisation_id}, fast=True)


async def charger_counts(db: Reader, ids: list[int]) -> dict[int, Row]:
    """total, online, attention of each of these organisations that has chargers."""
    return {row.organisation_id: row for row in await db.all(_chargers, {"ids": ids})} if ids else {}


async def people_counts(db: Reader, ids: list[int]) -> dict[int, int]:
    return {row.organisation_id: row.total for row in await db.all(_people, {"ids": ids})} if ids else {}


async def super_admins(db: Reader, organisation_id: int) -> list[Row]:
    """id, name, email, language, has_factor of those who run the organisation."""
    return await db.all(_super_admins, {"organisation_id": organisation_id})


async def chargers_found(db: Reader, words: str) -> list[Row]:
    """Chargers of all organisations whose serial or identity begins like this; at most FOUND_MOST, none for no words."""
    return await db.all(_found, {"pattern": f"{_escaped(words)}%"}) if words else []


async def jobs_state(db: Reader, late_ms: int) -> Row:
    """waiting, late (due before that instant and not done), failed (of those still kept); None where there are no jobs."""
    found = await db.first(_jobs, {"late_ms": late_ms})
    assert found is not None
    return found


async def mails_failing(db: Reader) -> int:
    """Mails that a mail server did not take."""
    return int(await db.value(_mails) or 0)


def _escaped(words: str) -> str:
    return words.lower().replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
