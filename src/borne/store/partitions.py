"""Partitions by time of receipt, on PostgreSQL: a stretch of time is a table of its own, so that what is old is dropped whole.

Nothing here ever waits long for a lock that somebody who writes needs: making a partition takes none, taking one off waits
`PATIENCE_MS` at most and is tried again later. SQLite has no partitions: nothing here is asked for there.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple, TypeAlias

from sqlalchemy import Table, TextClause, text

from borne.store.db import Reader, Transaction
from borne.store.schema import readings, session_messages
from borne.store.tenancy import across

DAY_MS = 86_400_000
MONDAY_MS = 4 * DAY_MS  # 5 January 1970: stretches begin on a Monday, UTC
# Readings are kept for some months and are many: what is too old is gone within a week. Messages are kept for more than a
# year, and those of a session are looked for in every partition.
SPANS_MS = {readings.name: 7 * DAY_MS, session_messages.name: 28 * DAY_MS}
PATIENCE_MS = 40
LAST_MS = 253_370_764_800_000  # the year 9999: no partition has a name beyond
Partitioned: TypeAlias = Table  # one of those above
WHY = "partitions hold the rows of all organisations"


class Partition(NamedTuple):
    """What is received from an instant (None: ever since) until before another. Both None: the rest, what fits in no other."""

    name: str
    from_ms: int | None
    until_ms: int | None

    @property
    def is_rest(self) -> bool:
        return self.until_ms is None

    @property
    def is_whole(self) -> bool:
        """One of the stretches made here, which go whole; rows of the others go in slices, each at its own age."""
        return self.from_ms is not None

    def overlaps(self, from_ms: int, until_ms: int) -> bool:
        return not self.is_rest and (self.from_ms is None or self.from_ms < until_ms) and from_ms < (self.until_ms or 0)


def _sql(words: str) -> TextClause:
    return across(text(words), WHY)


_known = across(
    text(
        "SELECT c.relname, pg_get_expr(c.relpartbound, c.oid) FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
        " WHERE i.inhparent = to_regclass(:name)"
    ),
    WHY,
)
_gone = across(
    text(
        "SELECT c.relname FROM pg_class c WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r'"
        " AND NOT c.relispartition AND starts_with(c.relname, :prefix) ORDER BY c.relname"
    ),
    WHY,
)
_bounds = re.compile(r"FROM \((MINVALUE|'-?\d+')\) TO \('(-?\d+)'\)")


def start_of(table: Table, at_ms: int) -> int:
    """When the stretch of time that holds this instant begins."""
    span_ms = SPANS_MS[table.name]
    return (at_ms - MONDAY_MS) // span_ms * span_ms + MONDAY_MS


def nameable(at_ms: int) -> bool:
    """Whether an instant can have a partition. What a broken clock dates elsewhere stays in the rest."""
    return 0 <= at_ms < LAST_MS


async def of(db: Reader, table: Table) -> list[Partition]:
    """All of a table, oldest first, the rest last."""
    found = []
    for name, bounds in await db.all(_known, {"name": table.name}):
        match = _bounds.search(bounds)
        if match is None:
            found.append(Partition(name, None, None))
        else:
            since = match[1].strip("'")
            found.append(Partition(name, None if since == "MINVALUE" else int(since), int(match[2])))
    return sorted(found, key=lambda one: (one.is_rest, one.until_ms or 0))


def missing(table: Table, partitions: Sequence[Partition], from_ms: int, until_ms: int) -> list[int]:
    """Where the stretches begin that no partition has, from the one that holds an instant to the one that holds the other."""
    span_ms = SPANS_MS[table.name]
    starts = range(start_of(table, from_ms), until_ms + 1, span_ms)
    return [
        start_ms
        for start_ms in starts
        if nameable(start_ms) and not any(one.overlaps(start_ms, start_ms + span_ms) for one in partitions)
    ]


async def make(tx: Transaction, table: Table, start_ms: int) -> int:
    """Make the partition of a stretch, with what of it has landed in the rest; gives how much that was.

    Attaching holds up nobody who writes elsewhere than in the rest. Raises StoreError when somebody is in the way:
    the lock of the rest is held for too long, or a row of this stretch has landed there at this moment.
    """
    name, until_ms = _name(table, start_ms), start_ms + SPANS_MS[table.name]
    rest = _rest(table)
    await _be_patient(tx)
    await tx.run(_sql(f"CREATE TABLE {name} (LIKE {table.name} INCLUDING DEFAULTS INCLUDING INDEXES)"))
    taken = f"DELETE FROM {rest} WHERE received_ms >= {start_ms} AND received_ms < {until_ms} RETURNING *"
    moved = await tx.run(_sql(f"WITH taken AS ({taken}) INSERT INTO {name} SELECT * FROM taken"))
    await tx.run(_sql(f"ALTER TABLE {table.name} ATTACH PARTITION {name} FOR VALUES FROM ({start_ms}) TO ({until_ms})"))
    return moved


async def landed(db: Reader, table: Table, after_ms: int) -> int | None:
    """When the oldest row in the rest that is not older than `after_ms` was received."""
    at_ms = await db.value(
        _sql(f"SELECT min(received_ms) FROM {_rest(table)} WHERE received_ms >= :after_ms"),
        {"after_ms": after_ms},
    )
    return None if at_ms is None else int(at_ms)


async def take_off(tx: Transaction, table: Table, partition: Partition) -> None:
    """Take a partition off its table, to be dropped by `drop`. Raises Busy when somebody is in the way for too long.

    Whoever writes waits for this lock while it waits: PATIENCE_MS at most, then some milliseconds.
    """
    await _be_patient(tx)
    await tx.run(_sql(f"ALTER TABLE {table.name} DETACH PARTITION {partition.name}"))
    await tx.run(_sql(f"ALTER TABLE {partition.name} RENAME TO gone_{partition.name}"))


async def taken_off(db: Reader, table: Table) -> list[str]:
    """What was taken off and is not dropped yet."""
    return [row[0] for row in await db.all(_gone, {"prefix": _prefix(table)})]


async def drop(tx: Transaction, name: str) -> None:
    """Drop what was taken off: nobody else knows it any more."""
    await tx.run(_sql(f"DROP TABLE {name}"))


async def prune(tx: Transaction, partition: Partition, before_ms: int, most: int) -> int:
    """Delete about `most` of a partition's rows that were received before, the oldest; gives how many."""
    found = f"FROM {partition.name} WHERE received_ms < :before_ms"
    edge = _sql(f"SELECT received_ms {found} ORDER BY received_ms LIMIT 1 OFFSET :most")
    edge_ms = await tx.value(edge, {"before_ms": before_ms, "most": most})
    return await tx.run(_sql(f"DELETE {found}"), {"before_ms": before_ms if edge_ms is None else edge_ms + 1})


def _name(table: Table, start_ms: int) -> str:
    return f"{table.name}_{datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=start_ms):%Y%m%d}"


def _prefix(table: Table) -> str:
    return f"gone_{table.name}_"


def _rest(table: Table) -> str:
    return f"{table.name}_rest"


async def _be_patient(tx: Transaction) -> None:
    await tx.run(_sql(f"SET LOCAL lock_timeout = {PATIENCE_MS}"))
