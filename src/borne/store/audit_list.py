"""What the audit page reads: an organisation's rows of the audit log, newest first, by pages that follow their numbers."""

from __future__ import annotations

from collections.abc import AsyncIterator

import msgspec
from sqlalchemy import ColumnElement, false, func, or_, select

from borne.core.scope import Scope
from borne.store.db import Reader, Row
from borne.store.parts import all_of
from borne.store.schema import audit_log

PAGE_ROWS = 50
EXPORT_ROWS = 500
LOOKED_AT = 10_000  # rows that one search reads at most: no index knows what stands in them
CLOCK_SLACK = 10_000  # rows that a clock set back may have put out of order
A = audit_log.c


class AuditFilter(msgspec.Struct, frozen=True, kw_only=True):
    """What is shown; None does not filter. `prefixes`: the first words of actions ("charger"). `from_ms` <= at < `to_ms`."""

    text: str | None = None
    prefixes: tuple[str, ...] | None = None
    person_id: int | None = None  # who did it, or to whom it was done
    from_ms: int | None = None
    to_ms: int | None = None


class Page(msgspec.Struct, frozen=True):
    """Some rows, newest first; the numbers to ask for the neighbours with, None at an end.

    `looked_to_ms`: a search ended there, before it had a whole page; what is older is yet to be looked at.
    """

    rows: list[Row]
    older_than: int | None
    newer_than: int | None
    looked_to_ms: int | None = None


def _mine(organisation_id: int, wanted: AuditFilter) -> list[ColumnElement[bool]]:
    """What an index finds."""
    found: list[ColumnElement[bool]] = [A.organisation_id == organisation_id]
    if wanted.person_id is not None:
        found.append(or_(A.actor_id == wanted.person_id, A.person_id == wanted.person_id))
    return found


def _sought(wanted: AuditFilter) -> list[ColumnElement[bool]]:
    """What is looked for row by row."""
    found: list[ColumnElement[bool]] = []
    if wanted.prefixes is not None:
        found.append(or_(*(A.action.startswith(f"{prefix}.", autoescape=True) for prefix in wanted.prefixes)))
    if wanted.text:
        sought = msgspec.json.encode(wanted.text.lower()).decode()[1:-1]  # as it stands in JSON
        found.append(func.lower(A.details).contains(sought, autoescape=True))
    return found


def _period(wanted: AuditFilter) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if wanted.from_ms is not None:
        found.append(A.at_ms >= wanted.from_ms)
    if wanted.to_ms is not None:
        found.append(A.at_ms < wanted.to_ms)
    return found


async def _in_period(db: Reader, organisation_id: int, wanted: AuditFilter) -> list[ColumnElement[bool]]:
    """Which rows, within the numbers that the period spans: pages follow numbers and need not read their way to an old day."""
    mine, period = _mine(organisation_id, wanted), _period(wanted)
    if not period:
        return mine
    ends = [
        await db.value(select(A.seq).where(A.organisation_id == organisation_id, *period).order_by(*order).limit(1))
        for order in ((A.at_ms, A.seq), (A.at_ms.desc(), A.seq.desc()))
    ]
    if None in ends:
        return [*mine, false()]
    return [*mine, *period, A.seq >= ends[0] - CLOCK_SLACK, A.seq <= ends[1] + CLOCK_SLACK]


async def page(
    db: Reader,
    scope: Scope,
    wanted: AuditFilter,
    *,
    older_than: int | None = None,
    newer_than: int | None = None,
    limit: int = PAGE_ROWS,
) -> Page:
    """One page; one row more is read than shown, to know whether there is a neighbour.

    What no index finds is looked for in LOOKED_AT rows: a search may have to go on from `older_than` (or `newer_than`).
    """
    mine, sought = await _in_period(db, scope.organisation_id, wanted), _sought(wanted)
    is_back = newer_than is None
    order = A.seq.desc() if is_back else A.seq.asc()
    if newer_than is not None:
        mine.append(A.seq > newer_than)
    elif older_than is not None:
        mine.append(A.seq < older_than)
    edge = await _edge(db, scope.organisation_id, mine, order) if sought else None
    if edge is not None:
        sought.append(A.seq >= edge.seq if is_back else A.seq <= edge.seq)
    statement = select(
        A.seq, A.at_ms, A.actor_id, A.action, A.object_kind, A.object_id, A.person_id, A.details, A.hash
    ).where(A.organisation_id == scope.organisation_id, *mine, *sought)
    found = await db.all(statement.order_by(order).limit(limit + 1))
    more, rows = len(found) > limit, found[:limit]
    at_edge = None if more or edge is None else edge
    if newer_than is not None:
        rows.reverse()
        newest = rows[0].seq if more else at_edge.seq if at_edge else None
        return Page(rows, rows[-1].seq if rows else newer_than + 1, newest)
    oldest = rows[-1].seq if more else at_edge.seq if at_edge else None
    newer = None if older_than is None else rows[0].seq if rows else older_than - 1
    return Page(rows, oldest, newer, at_edge.at_ms if at_edge else None)


async def _edge(
    db: Reader, organisation_id: int, mine: list[ColumnElement[bool]], order: ColumnElement[int]
) -> Row | None:
    """seq and at_ms of the last row that one search reads; None: it reads them all."""
    last = select(A.seq, A.at_ms).where(A.organisation_id == organisation_id, *mine).order_by(order)
    return await db.first(last.offset(LOOKED_AT - 1).limit(1))


def export(db: Reader, scope: Scope, wanted: AuditFilter) -> AsyncIterator[list[Row]]:
    """All matching rows, newest first, some hundred at a time."""
    return all_of(lambda older_than: page(db, scope, wanted, older_than=older_than, limit=EXPORT_ROWS))
