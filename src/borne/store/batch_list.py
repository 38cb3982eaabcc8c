"""What the batch pages read: one batch, its counts and its restarts. Stepped by engine.batches (store.batches)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from sqlalchemy import ColumnElement, and_, case, exists, func, or_, select

from borne.core.scope import Scope
from borne.store.db import Reader, Row
from borne.store.restart_list import PAGE_ROWS, in_scope, rows_in
from borne.store.schema import batches, restarts

Bucket = Literal["succeeded", "failed", "unknown", "not_sent", "running", "queued"]
BUCKETS: tuple[Bucket, ...] = ("running", "queued", "succeeded", "failed", "unknown", "not_sent")


def _within(scope: Scope) -> ColumnElement[bool]:
    own = batches.c.organisation_id == scope.organisation_id
    if scope.location_ids is None and scope.charger_ids is None:
        return own
    holds_mine = exists().where(restarts.c.batch_id == batches.c.id, in_scope(scope))
    return and_(own, or_(batches.c.person_id == scope.person_id, holds_mine))


async def row(db: Reader, scope: Scope, batch_id: int) -> Row | None:
    """One batch that this person made or that holds a charger they reach; None otherwise."""
    return await db.first(select(batches).where(batches.c.id == batch_id, _within(scope)))


async def reached(db: Reader, scope: Scope, batch_ids: Sequence[int]) -> list[int]:
    """Those of the batches whose page this person could open."""
    statement = select(batches.c.id).where(batches.c.id.in_(batch_ids), _within(scope))
    return [row.id for row in await db.all(statement)]


async def recent(db: Reader, scope: Scope, limit: int = 5) -> list[Row]:
    """The newest batches in scope, for the top of the history."""
    statement = (
        select(
            batches.c.id, batches.c.person_name, batches.c.why, batches.c.total, batches.c.created_ms, batches.c.phase
        )
        .where(_within(scope))
        .order_by(batches.c.id.desc())
        .limit(limit)
    )
    return await db.all(statement)


async def counts(db: Reader, scope: Scope, batch_id: int) -> dict[str, int]:
    """How many of a batch's restarts are in each bucket: the verdicts, `queued` (no slot yet) and `running`."""
    bucket = case(
        (restarts.c.verdict.is_not(None), restarts.c.verdict),
        (restarts.c.phase == "queued", "queued"),
        else_="running",
    ).label("bucket")
    statement = (
        select(bucket, func.count().label("n")).where(restarts.c.batch_id == batch_id, in_scope(scope)).group_by(bucket)
    )
    return {row.bucket: row.n for row in await db.all(statement)}


async def items(
    db: Reader, scope: Scope, batch_id: int, *, bucket: Bucket | None, page: int = 1, limit: int = PAGE_ROWS
) -> tuple[list[Row], bool]:
    """Page `page` (from 1) of a batch's restarts in the order they take their turn, and whether there is another one.

    A batch is bounded, so offsets will do.
    """
    statement = rows_in(scope).where(restarts.c.batch_id == batch_id)
    if bucket == "queued":
        statement = statement.where(restarts.c.phase == "queued", restarts.c.verdict.is_(None))
    elif bucket == "running":
        statement = statement.where(restarts.c.phase != "queued", restarts.c.verdict.is_(None))
    elif bucket is not None:
        statement = statement.where(restarts.c.verdict == bucket)
    statement = statement.order_by(restarts.c.id.asc()).limit(limit + 1).offset((page - 1) * limit)
    found = await db.all(statement)
    return found[:limit], len(found) > limit
