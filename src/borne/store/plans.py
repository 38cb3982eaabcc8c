"""What organisations have subscribed to: their plan and the one that comes, its history, and the days it is billed by."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import bindparam, func, or_, select, update

from borne.core.bill import BilledDay
from borne.core.scope import Scope
from borne.store.db import Reader, Row, Transaction
from borne.store.schema import (
    batches,
    chargers,
    invitations,
    locations,
    memberships,
    organisations,
    people,
    plan_changes,
    plan_days,
    restarts,
)
from borne.store.tenancy import across

DAY_COLUMNS = ("plan", "chargers", "price_cents", "late")
OPEN_BATCHES = ("filling", "running", "paused")

_organisation = select(
    organisations.c.id,
    organisations.c.name,
    organisations.c.plan,
    organisations.c.next_plan,
    organisations.c.next_plan_ms,
    organisations.c.created_ms,
).where(organisations.c.id == bindparam("organisation_id"))
_locked = _organisation.with_for_update()
_after = across(
    select(organisations.c.id)
    .where(organisations.c.id > bindparam("after_id"))
    .order_by(organisations.c.id)
    .limit(bindparam("most")),
    "the daily work goes through all organisations, one by one",
)
_set_plan = (
    update(organisations)
    .where(organisations.c.id == bindparam("of_organisation_id"))
    .values(plan=bindparam("new_plan"), next_plan=None, next_plan_ms=None)
)
_set_next = (
    update(organisations)
    .where(organisations.c.id == bindparam("of_organisation_id"))
    .values(next_plan=bindparam("new_plan"), next_plan_ms=bindparam("from_ms"))
)
_changes = (
    select(plan_changes.c.at_ms, plan_changes.c.plan, plan_changes.c.person_name)
    .where(plan_changes.c.organisation_id == bindparam("organisation_id"))
    .order_by(plan_changes.c.at_ms.desc(), plan_changes.c.id.desc())
    .limit(bindparam("most"))
)
_plan_at = (
    select(plan_changes.c.plan)
    .where(plan_changes.c.organisation_id == bindparam("organisation_id"), plan_changes.c.at_ms <= bindparam("at_ms"))
    .order_by(plan_changes.c.at_ms.desc(), plan_changes.c.id.desc())
    .limit(1)
)
_days = (
    select(plan_days.c.day, plan_days.c.plan, plan_days.c.chargers, plan_days.c.price_cents, plan_days.c.late)
    .where(plan_days.c.organisation_id == bindparam("organisation_id"), plan_days.c.day >= bindparam("from_day"))
    .order_by(plan_days.c.day)
)
_last_day = (
    select(plan_days.c.day, plan_days.c.plan)
    .where(plan_days.c.organisation_id == bindparam("organisation_id"))
    .order_by(plan_days.c.day.desc())
    .limit(1)
)
_chargers = select(func.count()).where(chargers.c.organisation_id == bindparam("organisation_id"))
_chargers_at = select(func.count()).where(
    chargers.c.organisation_id == bindparam("organisation_id"), chargers.c.created_ms < bindparam("before_ms")
)
_members = select(func.count()).where(
    memberships.c.organisation_id == bindparam("organisation_id"),
    or_(memberships.c.expires_ms.is_(None), memberships.c.expires_ms > bindparam("now_ms")),
)
_invited = select(func.count()).where(
    invitations.c.organisation_id == bindparam("organisation_id"),
    invitations.c.accepted_ms.is_(None),
    invitations.c.revoked_ms.is_(None),
    invitations.c.expires_ms > bindparam("now_ms"),
)
_locations = select(func.count()).where(locations.c.organisation_id == bindparam("organisation_id"))
_open_batches = (
    select(batches.c.id)
    .where(batches.c.organisation_id == bindparam("organisation_id"), batches.c.phase.in_(OPEN_BATCHES))
    .order_by(batches.c.id)
)
_unsent = (
    select(restarts.c.id, restarts.c.charger_id)
    .where(
        restarts.c.organisation_id == bindparam("organisation_id"),
        restarts.c.verdict.is_(None),
        restarts.c.phase.in_(bindparam("phases", expanding=True)),
    )
    .order_by(restarts.c.id)
    .limit(bindparam("most"))
)
_unsent_count = select(func.count()).where(
    restarts.c.organisation_id == bindparam("organisation_id"),
    restarts.c.verdict.is_(None),
    restarts.c.phase.in_(bindparam("phases", expanding=True)),
)
_owners = (
    select(people.c.name)
    .join(memberships, memberships.c.person_id == people.c.id)
    .where(
        memberships.c.organisation_id == bindparam("organisation_id"),
        memberships.c.role == "super-admin",
        people.c.disabled == 0,
    )
    .order_by(memberships.c.created_ms, people.c.id)
    .limit(1)
)


# ---- the plan and the one that comes -----------------------------------------------------------------------------------


async def of_organisation(db: Reader, organisation_id: int) -> Row | None:
    """id, name, plan, next_plan, next_plan_ms, created_ms."""
    return await db.first(_organisation, {"organisation_id": organisation_id}, fast=True)


async def locked(tx: Transaction, organisation_id: int) -> Row | None:
    """The same, and nobody else changes the plan, or adds what it limits, until this transaction ends."""
    return await tx.first(_locked, {"organisation_id": organisation_id})


async def ids_after(db: Reader, after_id: int, limit: int = 200) -> list[int]:
    """The ids of all organisations of the installation, a few at a time."""
    return [row.id for row in await db.all(_after, {"after_id": after_id, "most": limit})]


async def set_plan(tx: Transaction, organisation_id: int, plan: str, *, at_ms: int, by: str) -> None:
    """Change the plan and keep it in the history; a downgrade that was chosen is off."""
    await tx.run(_set_plan, {"of_organisation_id": organisation_id, "new_plan": plan})
    row = (organisation_id, at_ms, plan, by)
    await tx.insert_many(plan_changes, ("organisation_id", "at_ms", "plan", "person_name"), [row])


async def set_next(tx: Transaction, organisation_id: int, plan: str | None, from_ms: int | None) -> None:
    """Choose the plan that comes, or none."""
    await tx.run(_set_next, {"of_organisation_id": organisation_id, "new_plan": plan, "from_ms": from_ms})


async def changes(db: Reader, organisation_id: int, limit: int = 100) -> list[Row]:
    """at_ms, plan, person_name of the changes, the newest first."""
    return await db.all(_changes, {"organisation_id": organisation_id, "most": limit})


async def plan_at(db: Reader, organisation_id: int, at_ms: int) -> str | None:
    """The plan that the last change up to this instant made; None without one."""
    found: str | None = await db.value(_plan_at, {"organisation_id": organisation_id, "at_ms": at_ms})
    return found


# ---- the days it is billed by ------------------------------------------------------------------------------------------


async def last_day(db: Reader, organisation_id: int) -> Row | None:
    """day (YYYY-MM-DD) and plan of the newest day that was written down."""
    return await db.first(_last_day, {"organisation_id": organisation_id})


async def days_from(db: Reader, organisation_id: int, from_day: str) -> list[Row]:
    """day, plan, chargers, price_cents, late, in order."""
    return await db.all(_days, {"organisation_id": organisation_id, "from_day": from_day})


async def add_days(tx: Transaction, organisation_id: int, days: Sequence[BilledDay]) -> int:
    """Write days down; one that is there stays as it is. Returns how many were new."""
    rows = [
        (organisation_id, one.day.isoformat(), one.plan, one.chargers, one.price_cents, int(one.late)) for one in days
    ]
    return await tx.upsert_many(plan_days, ("organisation_id", "day"), DAY_COLUMNS, rows, keep=True) if rows else 0


async def chargers_before(db: Reader, organisation_id: int, before_ms: int) -> int:
    """How many of the organisation's chargers were there before an instant."""
    return int(await db.value(_chargers_at, {"organisation_id": organisation_id, "before_ms": before_ms}))


# ---- what the plan limits, and what a smaller one would end ------------------------------------------------------------


async def charger_count(db: Reader, organisation_id: int) -> int:
    return int(await db.value(_chargers, {"organisation_id": organisation_id}))


async def member_count(db: Reader, organisation_id: int, now_ms: int) -> int:
    return int(await db.value(_members, {"organisation_id": organisation_id, "now_ms": now_ms}))


async def invited_count(db: Reader, organisation_id: int, now_ms: int) -> int:
    """Invitations that may still be accepted."""
    return int(await db.value(_invited, {"organisation_id": organisation_id, "now_ms": now_ms}))


async def location_count(db: Reader, organisation_id: int) -> int:
    return int(await db.value(_locations, {"organisation_id": organisation_id}))


async def open_batches(db: Reader, organisation_id: int) -> list[int]:
    """Batches that are not at their end."""
    return [row.id for row in await db.all(_open_batches, {"organisation_id": organisation_id})]


async def unsent(db: Reader, organisation_id: int, phases: Sequence[str], limit: int = 200) -> list[Row]:
    """id and charger_id of restarts that are in one of these phases."""
    return await db.all(_unsent, {"organisation_id": organisation_id, "phases": list(phases), "most": limit})


async def unsent_count(db: Reader, organisation_id: int, phases: Sequence[str]) -> int:
    return int(await db.value(_unsent_count, {"organisation_id": organisation_id, "phases": list(phases)}))


async def owner_name(db: Reader, scope: Scope) -> str:
    """The super-admin who has been one for longest: whom to ask. "" when there is none."""
    return await db.value(_owners, {"organisation_id": scope.organisation_id}) or ""
