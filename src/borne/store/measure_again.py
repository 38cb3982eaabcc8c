"""Which sessions are measured anew because more is known of a time: its prices, or what a meter says of it."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import bindparam, exists, or_, select, union_all, update

from borne.store.db import Reader, Transaction
from borne.store.schema import session_curves, sessions

# A session that ended because no stop came goes on as long as its charger says so: its end is looked for a little before.
LATE_MS = 10 * 86_400_000

_S = sessions.c
_has_curve = exists().where(
    session_curves.c.session_id == _S.id, session_curves.c.organisation_id == bindparam("of_organisation_id")
)
_here = (
    select(_S.id)
    .where(
        _S.organisation_id == bindparam("of_organisation_id"),
        _S.location_id.in_(bindparam("location_ids", expanding=True)),
        or_(_S.measured == 0, _has_curve),  # one whose curve is gone is closed
    )
    # One that waits to be measured may be under way: it may have asked for prices a moment too soon.
    .where(or_(_S.dirty > 0, _S.begun_ms.is_(None), _S.begun_ms < bindparam("until_ms")))
)
_touching = union_all(  # no order: by the index on ends, however many sessions a location has
    _here.where(_S.ended_ms.is_(None)),
    _here.where(_S.ended_ms >= bindparam("late_ms"), or_(_S.dirty > 0, _S.over_ms > bindparam("from_ms"))),
)
_mark = (
    update(sessions)
    .where(_S.organisation_id == bindparam("of_organisation_id"), _S.id.in_(bindparam("ids", expanding=True)))
    .values(dirty=_S.dirty + 1)
)


async def touching(
    db: Reader, organisation_id: int, location_ids: Sequence[int], from_ms: int, until_ms: int
) -> list[int]:
    """The sessions of these locations that lie, or may come to lie, in a stretch of time, and are not closed; in no order."""
    if not location_ids:
        return []
    wanted = {
        "of_organisation_id": organisation_id,
        "location_ids": list(location_ids),
        "from_ms": from_ms,
        "until_ms": until_ms,
        "late_ms": from_ms - LATE_MS,
    }
    return [row.id for row in await db.all(_touching, wanted)]


async def mark(tx: Transaction, organisation_id: int, ids: Sequence[int]) -> int:
    """Have sessions measured anew. Returns how many there are (still)."""
    return await tx.run(_mark, {"of_organisation_id": organisation_id, "ids": list(ids)})
