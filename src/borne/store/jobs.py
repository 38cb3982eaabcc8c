"""Jobs: work that is done later, at least once, and survives a crash. A job is enqueued in the transaction that wants it.

A worker leases what is due. A lease that runs out makes the job due again, for somebody else: `attempt` then tells the
two workers apart, and the late one's result is refused.
"""

from __future__ import annotations

from sqlalchemy import bindparam, case, delete, func, select, update

from borne.store.db import Reader, Row, Transaction
from borne.store.schema import jobs

BACK_OFF_FIRST_MS = 5_000
BACK_OFF_MOST_MS = 3_600_000
MAX_ATTEMPTS = 8
ERROR_LENGTH = 2000

_COLUMNS = ("run_at_ms", "payload", "max_attempts")

_waiting = jobs.c.done_ms.is_(None)
_due_from = case((jobs.c.lease_until_ms > jobs.c.run_at_ms, jobs.c.lease_until_ms), else_=jobs.c.run_at_ms)
_next_due = select(func.min(_due_from)).where(_waiting)
_due = (
    select(jobs.c.id)
    .where(_waiting, jobs.c.run_at_ms <= bindparam("now_ms"), jobs.c.lease_until_ms <= bindparam("now_ms"))
    .order_by(jobs.c.run_at_ms, jobs.c.id)
    .limit(bindparam("most"))
    .with_for_update(skip_locked=True)
)
_lease = (
    update(jobs)
    .where(jobs.c.id.in_(_due))
    .values(lease_until_ms=bindparam("until_ms"), attempt=jobs.c.attempt + 1)
    .returning(jobs.c.id, jobs.c.kind, jobs.c.payload, jobs.c.attempt, jobs.c.max_attempts, jobs.c.run_at_ms)
)
_held = update(jobs).where(jobs.c.id == bindparam("job_id"), jobs.c.attempt == bindparam("held_attempt"), _waiting)
_extend = _held.values(lease_until_ms=bindparam("until_ms"))
_complete = _held.values(done_ms=bindparam("now_ms"), error=None)
_retry = _held.values(run_at_ms=bindparam("again_ms"), lease_until_ms=0, error=bindparam("new_error"))
_give_up = _held.values(done_ms=bindparam("now_ms"), error=bindparam("new_error"))
_old = select(jobs.c.id).where(jobs.c.done_ms < bindparam("before_ms")).limit(bindparam("most"))
_prune = delete(jobs).where(jobs.c.id.in_(_old))


async def enqueue(
    tx: Transaction,
    kind: str,
    payload: str,
    run_at_ms: int,
    *,
    idempotency_key: str | None = None,
    max_attempts: int = MAX_ATTEMPTS,
) -> bool:
    """Add a job (payload: JSON text). False when one of this kind and key exists, done or not: then nothing is added."""
    row = (kind, idempotency_key, run_at_ms, payload, max_attempts)
    return await tx.upsert_many(jobs, ("kind", "idempotency_key"), _COLUMNS, [row], keep=True) == 1


async def next_due_ms(db: Reader) -> int | None:
    """When the next job, or the next lease that may run out, is due; None when nothing waits."""
    found = await db.value(_next_due)
    return None if found is None else int(found)


async def lease(tx: Transaction, now_ms: int, lease_ms: int, limit: int = 10) -> list[Row]:
    """Take jobs that are due, the oldest first: id, kind, payload, attempt (from 1), max_attempts, run_at_ms.

    Two workers never get the same one, on either database.
    """
    wanted = {"now_ms": now_ms, "until_ms": now_ms + lease_ms, "most": limit}
    return sorted(await tx.all(_lease, wanted), key=lambda job: (job.run_at_ms, job.id))


async def extend(tx: Transaction, job: Row, until_ms: int) -> bool:
    """Go on working on a leased job. False: the lease is somebody else's by now."""
    return await tx.run(_extend, {**_held_by(job), "until_ms": until_ms}) == 1


async def complete(tx: Transaction, job: Row, now_ms: int) -> bool:
    """Mark a leased job as done. False: the lease is somebody else's by now."""
    return await tx.run(_complete, {**_held_by(job), "now_ms": now_ms}) == 1


async def fail(tx: Transaction, job: Row, now_ms: int, error: str) -> bool:
    """Try a leased job again later, each time later; after its last attempt it ends with the error."""
    held = {**_held_by(job), "new_error": error[:ERROR_LENGTH]}
    if job.attempt >= job.max_attempts:
        return await tx.run(_give_up, {**held, "now_ms": now_ms}) == 1
    return await tx.run(_retry, {**held, "again_ms": now_ms + back_off_ms(job.attempt)}) == 1


async def prune(tx: Transaction, before_ms: int, limit: int = 2000) -> int:
    """Forget jobs (and their keys) that were done before this instant. Returns how many."""
    return await tx.run(_prune, {"before_ms": before_ms, "most": limit})


def back_off_ms(attempt: int) -> int:
    """How long to wait after the attempt of this number (from 1) failed: 5 s, 10 s, 20 s … at most an hour."""
    return min(BACK_OFF_FIRST_MS << min(attempt - 1, 20), BACK_OFF_MOST_MS)


def _held_by(job: Row) -> dict[str, int]:
    return {"job_id": job.id, "held_attempt": job.attempt}
