"""What the engine loads and saves of chargers: their machines' states, with a version check on every save."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import bindparam, func, or_, select

from borne.store.db import Reader, Row, Transaction
from borne.store.schema import chargers, memberships, organisations, people, restarts, sessions
from borne.store.tenancy import across

CHARGER_KEYS = ("id", "version")
CHARGER_COLUMNS = ("version", "state", "online", "epoch", "protocol", "firmware")
# What indexes of the list hold: written only when it changed, because each costs an index entry.
LISTED_COLUMNS = (
    "status", "attention", "last_seen_ms", "restart_id", "restart_phase", "restart_verdict", "restart_ended_ms",
)  # fmt: skip
RESTART_KEYS = ("id", "version")
RESTART_COLUMNS = (
    "version", "state", "phase", "is_open", "watches", "verdict", "reason", "not_before_ms", "sent_ms", "ended_ms", "duration_ms",
    "wake_at_ms",
)  # fmt: skip

_chargers = across(
    select(
        chargers.c.id,
        chargers.c.organisation_id,
        chargers.c.location_id,
        chargers.c.model,
        chargers.c.disabled,
        chargers.c.version,
        chargers.c.state,
        chargers.c.status,
        chargers.c.attention,
        chargers.c.last_seen_ms,
        chargers.c.restart_id,
        chargers.c.restart_phase,
        chargers.c.restart_verdict,
        chargers.c.restart_ended_ms,
    ).where(chargers.c.id.in_(bindparam("ids", expanding=True))),
    "the engine loads the chargers whose turn it is",
)

_restarts = across(
    select(
        restarts.c.id,
        restarts.c.charger_id,
        restarts.c.version,
        restarts.c.state,
        restarts.c.batch_id,
        restarts.c.location_id,
    )
    .where(restarts.c.charger_id.in_(bindparam("ids", expanding=True)), restarts.c.watches == 1)
    .order_by(restarts.c.id),
    "the engine loads the chargers whose turn it is",
)

_open_sessions = across(
    select(sessions.c.charger_id, func.count())
    .where(sessions.c.charger_id.in_(bindparam("ids", expanding=True)), sessions.c.ended_ms.is_(None))
    .group_by(sessions.c.charger_id),
    "the engine loads the chargers whose turn it is",
)

_due = across(
    select(restarts.c.charger_id)
    .where(restarts.c.wake_at_ms <= bindparam("now_ms"))
    .order_by(restarts.c.wake_at_ms)
    .limit(500),
    "deadlines of all chargers are struck by one clock",
)
_updating = across(
    select(chargers.c.id).where(chargers.c.status == "updating").limit(500),
    "the clock looks after all chargers that update",
)
_unsettled = across(
    select(chargers.c.id)
    .outerjoin(restarts, (restarts.c.charger_id == chargers.c.id) & (restarts.c.watches == 1))
    .where(chargers.c.id > bindparam("after_id"), or_(chargers.c.online == 1, restarts.c.is_open == 1))
    .distinct()
    .order_by(chargers.c.id)
    .limit(500),
    "the absence of the server concerned all chargers",
)
_watched = across(
    select(restarts.c.charger_id)
    .where(restarts.c.watches == 1, restarts.c.charger_id > bindparam("after_id"))
    .distinct()
    .order_by(restarts.c.charger_id)
    .limit(500),
    "a step of the clock concerns all chargers",
)
_durations = (
    select(restarts.c.duration_ms)
    .where(
        restarts.c.organisation_id == bindparam("organisation_id"),
        restarts.c.model == bindparam("model"),
        restarts.c.verdict == "succeeded",
        restarts.c.evse.is_(None),  # one EVSE alone is another matter
        restarts.c.duration_ms.is_not(None),
    )
    .order_by(restarts.c.ended_ms.desc())
    .limit(50)
)
_plan = select(organisations.c.plan).where(organisations.c.id == bindparam("organisation_id"))
_role = (
    select(memberships.c.role)
    .join(people, people.c.id == memberships.c.person_id)
    .where(
        memberships.c.person_id == bindparam("person_id"),
        memberships.c.organisation_id == bindparam("organisation_id"),
        or_(memberships.c.expires_ms.is_(None), memberships.c.expires_ms > bindparam("now_ms")),
        people.c.disabled == 0,
    )
)


_name = select(chargers.c.name).where(
    chargers.c.id == bindparam("charger_id"), chargers.c.organisation_id == bindparam("organisation_id")
)


async def load_chargers(db: Reader, ids: Sequence[int]) -> list[Row]:
    """Charger rows with their states."""
    return await db.all(_chargers, {"ids": list(ids)})


async def load_restarts(db: Reader, ids: Sequence[int]) -> list[Row]:
    """Restarts of these chargers that still listen, oldest first."""
    return await db.all(_restarts, {"ids": list(ids)})


async def count_open_sessions(db: Reader, ids: Sequence[int]) -> dict[int, int]:
    """How many sessions are open, by charger."""
    return {row[0]: row[1] for row in await db.all(_open_sessions, {"ids": list(ids)})}


async def save_chargers(
    tx: Transaction, rows: Sequence[Sequence[object]], listed_rows: Sequence[Sequence[object]]
) -> int:
    """Save machine states, those of `listed_rows` with what the list shows; returns how many versions matched."""
    matched = await tx.update_many(chargers, CHARGER_KEYS, CHARGER_COLUMNS, rows) if rows else 0
    if listed_rows:
        matched += await tx.update_many(chargers, CHARGER_KEYS, (*CHARGER_COLUMNS, *LISTED_COLUMNS), listed_rows)
    return matched


async def save_restarts(tx: Transaction, rows: Sequence[Sequence[object]]) -> int:
    """Save restart states; returns how many versions matched."""
    return await tx.update_many(restarts, RESTART_KEYS, RESTART_COLUMNS, rows)


async def due_chargers(db: Reader, now_ms: int) -> list[int]:
    """Chargers with a restart whose deadline is due, 500 at most."""
    return [row[0] for row in await db.all(_due, {"now_ms": now_ms}, fast=True)]


async def updating_chargers(db: Reader) -> list[int]:
    """Chargers that say they are updating."""
    return [row[0] for row in await db.all(_updating)]


async def unsettled_chargers(db: Reader, after_id: int) -> list[int]:
    """Chargers online or with an open restart, by id: whom the server's absence concerned. 500 at most."""
    return [row[0] for row in await db.all(_unsettled, {"after_id": after_id})]


async def watched_chargers(db: Reader, after_id: int) -> list[int]:
    """Chargers with a restart that still listens, by id. 500 at most."""
    return [row[0] for row in await db.all(_watched, {"after_id": after_id})]


async def last_durations_ms(db: Reader, organisation_id: int, model: str) -> list[int]:
    """How long the model's last 50 successful restarts took here."""
    found = await db.all(_durations, {"organisation_id": organisation_id, "model": model}, fast=True)
    return [row[0] for row in found]


async def plan_of(db: Reader, organisation_id: int) -> str:
    """The organisation's plan; empty when it is gone."""
    return await db.value(_plan, {"organisation_id": organisation_id}, fast=True) or ""


async def role_of(db: Reader, person_id: int, organisation_id: int, now_ms: int) -> str | None:
    """The person's role there; None when they have none, it is over, or their account is disabled."""
    wanted = {"person_id": person_id, "organisation_id": organisation_id, "now_ms": now_ms}
    role: str | None = await db.value(_role, wanted, fast=True)
    return role


async def name_of(db: Reader, organisation_id: int, charger_id: int) -> str:
    """The charger's name; empty when it is gone."""
    return await db.value(_name, {"charger_id": charger_id, "organisation_id": organisation_id}, fast=True) or ""
