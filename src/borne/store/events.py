"""The timeline of each charger, and what could not be applied."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import bindparam, delete, select

from borne.store.db import Reader, Row, Transaction
from borne.store.schema import chargers, dead_letters, events
from borne.store.tenancy import across, beside

EVENT_COLUMNS = ("charger_id", "at_ms", "kind", "details")
NEWEST = 2**62

_of_charger = (
    select(events.c.id, events.c.at_ms, events.c.kind, events.c.details)
    .join(chargers, chargers.c.id == events.c.charger_id)
    .where(
        events.c.charger_id == bindparam("charger_id"),
        events.c.id < bindparam("before_id"),
        chargers.c.organisation_id == bindparam("organisation_id"),
    )
    .order_by(events.c.id.desc())
    .limit(bindparam("most"))
)
# Ids grow with time, but for those committed together: a stretch is found by its ends, and looked at with some around it.
NEAR = 1_000
_first = select(events.c.id).where(events.c.at_ms >= bindparam("from_ms")).order_by(events.c.at_ms).limit(1)
_last = select(events.c.id).where(events.c.at_ms <= bindparam("until_ms")).order_by(events.c.at_ms.desc()).limit(1)
_during = across(
    select(events.c.id, events.c.at_ms, events.c.kind, events.c.details)
    .where(
        events.c.charger_id == bindparam("charger_id"),
        events.c.id >= _first.scalar_subquery() - NEAR,
        events.c.id <= _last.scalar_subquery() + NEAR,
        beside(events.c.at_ms) >= bindparam("from_ms"),
        beside(events.c.at_ms) <= bindparam("until_ms"),
        events.c.kind.in_(bindparam("kinds", expanding=True)),
    )
    .order_by(events.c.id)
    .limit(bindparam("most")),
    "the session that names this charger was found inside the scope",
)
_oldest = select(events.c.id).where(events.c.at_ms < bindparam("before_ms")).order_by(events.c.at_ms)
_prune = across(
    delete(events).where(events.c.id.in_(_oldest.limit(bindparam("most")))),
    "retention is the same for every organisation",
)
_letters = across(
    select(dead_letters).order_by(dead_letters.c.id.desc()).limit(bindparam("most")),
    "what could not be applied is for who operates the installation",
)


async def add_many(tx: Transaction, rows: Sequence[tuple[int, int, str, str]]) -> None:
    """Add lines: (charger_id, at_ms, kind, details as JSON text)."""
    await tx.insert_many(events, EVENT_COLUMNS, rows)


async def of_charger(
    db: Reader, organisation_id: int, charger_id: int, *, before_id: int = NEWEST, limit: int = 50
) -> list[Row]:
    """Rows of id, at_ms, kind, details, newest first; none when the charger is another organisation's."""
    wanted = {"organisation_id": organisation_id, "charger_id": charger_id, "before_id": before_id, "most": limit}
    return await db.all(_of_charger, wanted)


async def during(
    db: Reader, charger_id: int, from_ms: int, until_ms: int, kinds: Sequence[str], limit: int
) -> list[Row]:
    """Rows of id, at_ms, kind, details of these kinds between two instants, in order; the caller has seen to the scope."""
    wanted = {"charger_id": charger_id, "from_ms": from_ms, "until_ms": until_ms, "kinds": list(kinds), "most": limit}
    return await db.all(_during, wanted)


async def prune(tx: Transaction, before_ms: int, limit: int = 2000) -> int:
    """Delete lines older than `before_ms`, `limit` at most so that nobody waits long. Returns how many."""
    return await tx.run(_prune, {"before_ms": before_ms, "most": limit})


async def add_dead_letter(tx: Transaction, charger_id: int, at_ms: int, fact: str, error: str) -> None:
    """Keep a fact (as JSON text) that could not be applied, and why."""
    await tx.insert(dead_letters, {"charger_id": charger_id, "at_ms": at_ms, "fact": fact, "error": error})


async def newest_dead_letters(db: Reader, limit: int = 100) -> list[Row]:
    """Rows of id, charger_id, at_ms, fact, error, newest first: for who operates the installation."""
    return await db.all(_letters, {"most": limit})
