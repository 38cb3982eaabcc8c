"""What the restart pages read: the history with its filters, and single restarts.

Pages follow ids (newest first), never offsets: the thousandth page costs what the first one does. Everything is scoped:
a restart belongs to the organisation and the location of its time, whatever its charger became since.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any, Literal

import msgspec
from sqlalchemy import ColumnElement, Select, and_, false, func, select

from borne.core.scope import Scope
from borne.store.db import Reader, Row
from borne.store.parts import all_of
from borne.store.schema import archived_chargers, chargers, locations, restarts

PAGE_ROWS = 50
EXPORT_ROWS = 500
DISTINCT_MOST = 50  # choices of a filter

Outcome = Literal["succeeded", "failed", "unknown", "not_sent", "open"]
OUTCOMES: tuple[Outcome, ...] = ("succeeded", "failed", "unknown", "not_sent", "open")


class RestartFilter(msgspec.Struct, frozen=True, kw_only=True):
    """What the history shows; None does not filter. Instants are those of the request: `from_ms` <= it < `to_ms`."""

    charger_id: int | None = None
    location_id: int | None = None
    batch_id: int | None = None
    person_id: int | None = None
    outcome: Outcome | None = None
    from_ms: int | None = None
    to_ms: int | None = None


class Page(msgspec.Struct, frozen=True):
    """Some rows, newest first. `older_than` and `newer_than` are the ids to ask for the neighbours with, None at an end."""

    rows: list[Row]
    older_than: int | None
    newer_than: int | None


def in_scope(scope: Scope) -> ColumnElement[bool]:
    """The condition that keeps a query about restarts inside a scope."""
    within: list[ColumnElement[bool]] = [restarts.c.organisation_id == scope.organisation_id]
    if scope.location_ids is not None:
        within.append(restarts.c.location_id.in_(scope.location_ids) if scope.location_ids else false())
    if scope.charger_ids is not None:
        within.append(restarts.c.charger_id.in_(scope.charger_ids) if scope.charger_ids else false())
    return and_(*within)


def rows_in(scope: Scope) -> Select[Any]:
    """The restarts of a scope, with all that a line of history shows."""
    return (
        select(
            restarts.c.id,
            restarts.c.charger_id,
            restarts.c.location_id,
            restarts.c.model,
            restarts.c.batch_id,
            restarts.c.person_id,
            restarts.c.person_name,
            restarts.c.why,
            restarts.c.kind,
            restarts.c.evse,
            restarts.c.state,
            restarts.c.phase,
            restarts.c.is_open,
            restarts.c.verdict,
            restarts.c.reason,
            restarts.c.requested_ms,
            restarts.c.not_before_ms,
            restarts.c.sent_ms,
            restarts.c.ended_ms,
            restarts.c.duration_ms,
            func.coalesce(chargers.c.name, archived_chargers.c.name).label("charger_name"),
            chargers.c.location_id.label("charger_location_id"),
            locations.c.name.label("location_name"),
            locations.c.time_zone,
        )
        .select_from(
            # A charger that went to another organisation keeps its history here, but no longer says its name.
            restarts.outerjoin(
                chargers,
                and_(chargers.c.id == restarts.c.charger_id, chargers.c.organisation_id == restarts.c.organisation_id),
            )
            .outerjoin(  # nor is it nameless once it is archived or deleted
                archived_chargers,
                and_(
                    archived_chargers.c.id == restarts.c.charger_id,
                    archived_chargers.c.organisation_id == restarts.c.organisation_id,
                ),
            )
            .outerjoin(locations, locations.c.id == restarts.c.location_id)
        )
        .where(in_scope(scope))
    )


def _filtered(statement: Select[Any], wanted: RestartFilter) -> Select[Any]:
    columns = {
        restarts.c.charger_id: wanted.charger_id,
        restarts.c.location_id: wanted.location_id,
        restarts.c.batch_id: wanted.batch_id,
        restarts.c.person_id: wanted.person_id,
    }
    for column, value in columns.items():
        if value is not None:
            statement = statement.where(column == value)
    if wanted.outcome == "open":
        statement = statement.where(restarts.c.verdict.is_(None))
    elif wanted.outcome is not None:
        statement = statement.where(restarts.c.verdict == wanted.outcome)
    return statement


def _period(wanted: RestartFilter) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if wanted.from_ms is not None:
        found.append(restarts.c.requested_ms >= wanted.from_ms)
    if wanted.to_ms is not None:
        found.append(restarts.c.requested_ms < wanted.to_ms)
    return found


async def _in_period(db: Reader, scope: Scope, statement: Select[Any], wanted: RestartFilter) -> Select[Any]:
    """Add the period, and the ids that it spans: pages follow ids, so that they need not read their way to an old period."""
    period = _period(wanted)
    if not period:
        return statement
    own = restarts.c.organisation_id == scope.organisation_id
    span = await db.first(select(func.min(restarts.c.id), func.max(restarts.c.id)).where(own, *period))
    if span is None or span[0] is None:
        return statement.where(false())
    return statement.where(*period, restarts.c.id >= span[0], restarts.c.id <= span[1])


async def page(
    db: Reader,
    scope: Scope,
    wanted: RestartFilter,
    *,
    older_than: int | None = None,
    newer_than: int | None = None,
    limit: int = PAGE_ROWS,
) -> Page:
    """One page of restarts, newest first; one row more is read than shown, to know whether there is a neighbour."""
    statement = await _in_period(db, scope, _filtered(rows_in(scope), wanted), wanted)
    if newer_than is not None:
        statement = statement.where(restarts.c.id > newer_than).order_by(restarts.c.id.asc())
        found = await db.all(statement.limit(limit + 1))
        more, rows = len(found) > limit, found[:limit][::-1]
        return Page(rows, rows[-1].id if rows else None, rows[0].id if more and rows else None)
    if older_than is not None:
        statement = statement.where(restarts.c.id < older_than)
    found = await db.all(statement.order_by(restarts.c.id.desc()).limit(limit + 1))
    more, rows = len(found) > limit, found[:limit]
    return Page(rows, rows[-1].id if more else None, rows[0].id if rows and older_than is not None else None)


def export(db: Reader, scope: Scope, wanted: RestartFilter) -> AsyncIterator[list[Row]]:
    """All matching restarts, newest first, some hundred at a time."""
    return all_of(lambda older_than: page(db, scope, wanted, older_than=older_than, limit=EXPORT_ROWS))


async def row(db: Reader, scope: Scope, restart_id: int) -> Row | None:
    """One restart as in the history, or None when there is none in this scope."""
    return await db.first(rows_in(scope).where(restarts.c.id == restart_id))


async def rows(db: Reader, scope: Scope, restart_ids: Sequence[int]) -> list[Row]:
    """Those of the restarts that the scope reaches."""
    if not restart_ids:
        return []
    return await db.all(rows_in(scope).where(restarts.c.id.in_(restart_ids)))


async def key_of(db: Reader, scope: Scope, restart_id: int) -> str | None:
    """The idempotency key that a restart was asked for with."""
    statement = select(restarts.c.idempotency_key).where(restarts.c.id == restart_id, in_scope(scope))
    found: str | None = await db.value(statement)
    return found


async def requesters(db: Reader, scope: Scope) -> list[tuple[int, str]]:
    """Who has asked for restarts here (id, the name they had then), by name: the filter's choices.

    One step through the index for each person, however many restarts they asked for.
    """
    found: list[tuple[int, str]] = []
    last_id = 0
    statement = select(restarts.c.person_id, restarts.c.person_name).where(in_scope(scope))
    while len(found) < DISTINCT_MOST:
        row = await db.first(statement.where(restarts.c.person_id > last_id).order_by(restarts.c.person_id).limit(1))
        if row is None:
            break
        last_id = row.person_id
        found.append((row.person_id, row.person_name))
    return sorted(found, key=lambda one: one[1].casefold())


async def models(db: Reader, scope: Scope, most: int) -> list[str]:
    """The first models that have been restarted here, by the same steps."""
    found: list[str] = []
    statement = select(restarts.c.model).where(in_scope(scope))
    while len(found) < most:
        model = await db.value(
            statement.where(restarts.c.model > (found[-1] if found else "")).order_by(restarts.c.model).limit(1)
        )
        if model is None:
            break
        found.append(model)
    return found
