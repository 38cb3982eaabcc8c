"""Chargers that left: archived, handed over, deleted. Their rows remember names; their history stays under their ids."""

from __future__ import annotations

from typing import Literal

import msgspec
from sqlalchemy import ColumnElement, Select, bindparam, delete, false, select, update

from borne.core.charger import ChargerState
from borne.core.scope import Scope
from borne.store import chargers as charger_store
from borne.store.chargers import NewCharger
from borne.store.db import Reader, Row, Transaction
from borne.store.schema import access_group_chargers, archived_chargers, chargers, events, handovers, locations

Why = Literal["archived", "handed_over", "deleted"]
PAGE_ROWS = 50
EVENTS_SHOWN = 200
A = archived_chargers.c

_COLUMNS = (
    "id", "organisation_id", "location_id", "name", "serial", "model", "vendor", "model_name", "identity", "created_ms", "epoch",
    "archived_ms", "person_name", "why",
)  # fmt: skip
_of_charger = (A.id == bindparam("charger_id"), A.organisation_id == bindparam("of_organisation_id"))
_take_back = delete(archived_chargers).where(*_of_charger, A.why == "archived")
_out_of_groups = delete(access_group_chargers).where(
    access_group_chargers.c.charger_id == bindparam("charger_id"),
    access_group_chargers.c.organisation_id == bindparam("of_organisation_id"),
)
_no_offers = (
    update(handovers)
    .where(
        handovers.c.charger_id == bindparam("charger_id"),
        handovers.c.organisation_id == bindparam("of_organisation_id"),
        handovers.c.taken_ms.is_(None),
        handovers.c.cancelled_ms.is_(None),
    )
    .values(cancelled_ms=bindparam("now_ms"))
)
_restored = (
    update(chargers)
    .where(chargers.c.id == bindparam("charger_id"), chargers.c.organisation_id == bindparam("of_organisation_id"))
    .values(epoch=bindparam("of_epoch"), state=bindparam("of_state"))
)
_events = (
    select(events.c.id, events.c.at_ms, events.c.kind, events.c.details)
    .join(archived_chargers, archived_chargers.c.id == events.c.charger_id)
    .where(events.c.charger_id == bindparam("charger_id"), A.organisation_id == bindparam("of_organisation_id"))
    .order_by(events.c.id.desc())
    .limit(EVENTS_SHOWN)
)


async def put_away(tx: Transaction, row: Row, why: Why, *, person_name: str, now_ms: int) -> bool:
    """Take a charger (a whole row of `chargers`) out of lists, groups and assignments. False: somebody else was faster."""
    if not await charger_store.remove(tx, row.organisation_id, row.id):
        return False
    key = {"charger_id": row.id, "of_organisation_id": row.organisation_id}
    await tx.run(_out_of_groups, key)
    await tx.run(_no_offers, {**key, "now_ms": now_ms})
    kept = tuple(getattr(row, name) for name in _COLUMNS[:11])
    await tx.insert_many(archived_chargers, _COLUMNS, [(*kept, now_ms, person_name, why)])
    return True


async def take_back(tx: Transaction, row: Row, new: NewCharger, now_ms: int) -> bool:
    """Make an archived charger (a row of `row`) one again, with its old id. False: somebody else was faster.

    Raises Conflict when the identity is taken, UnknownLocationError.
    """
    key = {"charger_id": row.id, "of_organisation_id": row.organisation_id}
    if await tx.run(_take_back, key) == 0:
        return False
    await charger_store.create_again(tx, row.id, new, now_ms)
    state = ChargerState(epoch=row.epoch, before_epoch=row.epoch)
    await tx.run(_restored, {**key, "of_epoch": row.epoch, "of_state": msgspec.json.encode(state).decode()})
    return True


# ---- looking -----------------------------------------------------------------------------------------------------


class Page(msgspec.Struct, frozen=True):
    """Some rows, the latest that left first, and whether more follow."""

    rows: list[Row]
    more: bool


def _in_scope(scope: Scope) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = [A.organisation_id == scope.organisation_id]
    if scope.location_ids is not None:
        found.append(A.location_id.in_(scope.location_ids) if scope.location_ids else false())
    if scope.charger_ids is not None:
        found.append(false())
    return found


def _rows(scope: Scope) -> Select[tuple[object, ...]]:
    place = (locations.c.id == A.location_id) & (locations.c.organisation_id == A.organisation_id)
    return (
        select(archived_chargers, locations.c.name.label("location_name"))
        .select_from(archived_chargers.outerjoin(locations, place))
        .where(*_in_scope(scope))
    )


async def page(db: Reader, scope: Scope, number: int = 1, words: str = "") -> Page:
    """One page. `words`: a part of name, serial or identity."""
    statement = _rows(scope)
    for word in words.split()[:5]:
        text = A.name + " " + A.serial + " " + A.identity
        statement = statement.where(text.icontains(word, autoescape=True))
    statement = statement.order_by(A.archived_ms.desc(), A.id.desc())
    found = await db.all(statement.limit(PAGE_ROWS + 1).offset((number - 1) * PAGE_ROWS))
    return Page(found[:PAGE_ROWS], len(found) > PAGE_ROWS)


async def by_id(db: Reader, scope: Scope, charger_id: int) -> Row | None:
    """One of them, None out of reach."""
    return await db.first(_rows(scope).where(A.id == charger_id))


async def events_of(db: Reader, organisation_id: int, charger_id: int) -> list[Row]:
    """The newest lines of its timeline."""
    return await db.all(_events, {"charger_id": charger_id, "of_organisation_id": organisation_id})
