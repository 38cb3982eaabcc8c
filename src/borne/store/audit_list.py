"""What the audit page reads: an organisation's rows of the audit log, newest first, by pages that follow their numbers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Select, false, func, or_, select

from borne.core.scope import Scope
from borne.store.db import Reader, Row
from borne.store.schema import audit_log

PAGE_ROWS = 50
EXPORT_ROWS = 500
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
    """Some rows, newest first; the numbers to ask for the neighbours with, None at an end."""

    rows: list[Row]
    older_than: int | None
    newer_than: int | None


def _rows(organisation_id: int, wanted: AuditFilter) -> Select[Any]:
    statement = select(
        A.seq, A.at_ms, A.actor_id, A.action, A.object_kind, A.object_id, A.person_id, A.details, A.hash
    ).where(A.organisation_id == organisation_id)
    return statement.where(*_conditions(wanted))


def _conditions(wanted: AuditFilter) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if wanted.text:
        sought = msgspec.json.encode(wanted.text.lower()).decode()[1:-1]  # as it stands in JSON
        found.append(func.lower(A.details).contains(sought, autoescape=True))
    if wanted.prefixes is not None:
        found.append(or_(*(A.action.startswith(f"{prefix}.", autoescape=True) for prefix in wanted.prefixes)))
    if wanted.person_id is not None:
        found.append(or_(A.actor_id == wanted.person_id, A.person_id == wanted.person_id))
    return found + _period(wanted)


def _period(wanted: AuditFilter) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if wanted.from_ms is not None:
        found.append(A.at_ms >= wanted.from_ms)
    if wanted.to_ms is not None:
        found.append(A.at_ms < wanted.to_ms)
    return found


async def _in_period(db: Reader, organisation_id: int, wanted: AuditFilter) -> Select[Any]:
    """The rows, within the numbers that the period spans: pages follow numbers and need not read their way to an old day."""
    statement, period = _rows(organisation_id, wanted), _period(wanted)
    if not period:
        return statement
    ends = [
        await db.value(select(A.seq).where(A.organisation_id == organisation_id, *period).order_by(*order).limit(1))
        for order in ((A.at_ms, A.seq), (A.at_ms.desc(), A.seq.desc()))
    ]
    if None in ends:
        return statement.where(false())
    return statement.where(A.seq >= ends[0] - CLOCK_SLACK, A.seq <= ends[1] + CLOCK_SLACK)


async def page(
    db: Reader,
    scope: Scope,
    wanted: AuditFilter,
    *,
    older_than: int | None = None,
    newer_than: int | None = None,
    limit: int = PAGE_ROWS,
) -> Page:
    """One page; one row more is read than shown, to know whether there is a neighbour."""
    statement = await _in_period(db, scope.organisation_id, wanted)
    if newer_than is not None:
        found = await db.all(statement.where(A.seq > newer_than).order_by(A.seq.asc()).limit(limit + 1))
        more, rows = len(found) > limit, found[:limit][::-1]
        return Page(rows, rows[-1].seq if rows else None, rows[0].seq if more and rows else None)
    if older_than is not None:
        statement = statement.where(A.seq < older_than)
    found = await db.all(statement.order_by(A.seq.desc()).limit(limit + 1))
    more, rows = len(found) > limit, found[:limit]
    return Page(rows, rows[-1].seq if more else None, rows[0].seq if rows and older_than is not None else None)


async def export(db: Reader, scope: Scope, wanted: AuditFilter) -> AsyncIterator[list[Row]]:
    """All matching rows, newest first, some hundred at a time: memory stays flat however many there are."""
    older_than: int | None = None
    while True:
        part = await page(db, scope, wanted, older_than=older_than, limit=EXPORT_ROWS)
        if part.rows:
            yield part.rows
        if part.older_than is None:
            return
        older_than = part.older_than
