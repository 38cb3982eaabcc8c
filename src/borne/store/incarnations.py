"""Incarnations: one row for each run of the server, by which the next run knows how and when the last one ended."""

from __future__ import annotations

from sqlalchemy import bindparam, select, update

from borne.store.db import Reader, Row, Transaction
from borne.store.schema import incarnations

_last = select(incarnations).order_by(incarnations.c.id.desc()).limit(1)
_alive = update(incarnations).where(incarnations.c.id == bindparam("run_id")).values(alive_ms=bindparam("now_ms"))
_end = (
    update(incarnations)
    .where(incarnations.c.id == bindparam("run_id"))
    .values(alive_ms=bindparam("now_ms"), stopped_ms=bindparam("now_ms"))
)


async def last(db: Reader) -> Row | None:
    """id, started_ms, alive_ms, stopped_ms (None: it crashed, or it still runs) of the newest run."""
    return await db.first(_last)


async def begin(tx: Transaction, now_ms: int) -> int:
    """Begin a run and return its number, which only grows."""
    return await tx.insert(incarnations, {"started_ms": now_ms, "alive_ms": now_ms})


async def alive(tx: Transaction, incarnation: int, now_ms: int) -> None:
    """Say that this run still goes on: after a crash this is when it was last known to live."""
    await tx.run(_alive, {"run_id": incarnation, "now_ms": now_ms})


async def end(tx: Transaction, incarnation: int, now_ms: int) -> None:
    """Say that this run ended in good order."""
    await tx.run(_end, {"run_id": incarnation, "now_ms": now_ms})
