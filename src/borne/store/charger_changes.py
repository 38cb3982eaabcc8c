"""Changes of many chargers, as rows: made with the list of chargers, advanced slice by slice by engine.charger_changes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import bindparam, select, update

from borne.core.scope import Scope
from borne.store.db import Reader, Row, Transaction
from borne.store.schema import charger_changes

X = charger_changes.c
_mine = (X.organisation_id == bindparam("of_organisation_id"), X.id == bindparam("change_id"))
_held = select(charger_changes).where(*_mine).with_for_update()
_by_key = select(X.id).where(
    X.organisation_id == bindparam("of_organisation_id"), X.idempotency_key == bindparam("key")
)
_advance = (
    update(charger_changes)
    .where(*_mine, X.position == bindparam("from_position"))
    .values(
        position=bindparam("to_position"),
        changed=bindparam("now_changed"),
        left_out=bindparam("now_left_out"),
        ended_ms=bindparam("then_ms"),
    )
)


async def create(tx: Transaction, organisation_id: int, values: Mapping[str, Any]) -> int:
    """Add a change and return its id. Raises Conflict when its key was used."""
    return await tx.insert(charger_changes, {"organisation_id": organisation_id, **values})


async def by_key(db: Reader, organisation_id: int, key: str) -> int | None:
    """The change that a form with this key began."""
    found: int | None = await db.value(_by_key, {"of_organisation_id": organisation_id, "key": key})
    return found


async def hold(tx: Transaction, organisation_id: int, change_id: int) -> Row | None:
    """All of it, kept from others until the transaction ends."""
    return await tx.first(_held, {"of_organisation_id": organisation_id, "change_id": change_id})


async def advance(
    tx: Transaction, row: Row, *, position: int, changed: int, left_out: str, ended_ms: int | None
) -> None:
    """Keep how far it is: `position` chargers of the list are behind it."""
    wanted = {
        "of_organisation_id": row.organisation_id,
        "change_id": row.id,
        "from_position": row.position,
        "to_position": position,
        "now_changed": changed,
        "now_left_out": left_out,
        "then_ms": ended_ms,
    }
    await tx.run(_advance, wanted)


async def seen(db: Reader, scope: Scope, change_id: int) -> Row | None:
    """All of it, for whoever asked for it and for super-admins: others may reach a part of its chargers alone."""
    statement = select(charger_changes).where(X.organisation_id == scope.organisation_id, X.id == change_id)
    if scope.role != "super-admin":
        statement = statement.where(X.person_id == scope.person_id)
    return await db.first(statement)
