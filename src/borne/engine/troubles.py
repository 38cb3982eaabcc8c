"""Troubles: a charger's absence or fault, from the news that began it to the news that ended it."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from borne.core.notifications import counts_from_ms, trouble_of
from borne.store import notices as store
from borne.store import troubles
from borne.store.db import Row, Transaction


def key_of(kind: str, charger_id: int, number: int) -> str:
    """What the notices of one trouble are known by."""
    return f"{kind}:{charger_id}:{number}"


def many_key(location_id: int, many_ms: int) -> str:
    """What the notices of many that left together are known by."""
    return f"many:{location_id}:{many_ms}"


class Standing(msgspec.Struct):
    """A trouble on its way to the database (troubles.KEYS, then troubles.COLUMNS)."""

    charger_id: int
    organisation_id: int
    kind: str
    location_id: int = 0
    number: int = 0
    since_ms: int = 0
    counts_from_ms: int = 0
    ours: int = 0
    said: str = ""
    many_ms: int | None = None
    told_ms: int | None = None
    ended_ms: int | None = 0  # none yet


async def follow(tx: Transaction, rows: Sequence[Row]) -> None:
    """Begin and end troubles as the chargers' words say, in their order."""
    if not rows:
        return
    known: dict[tuple[int, int, str], Standing] = {}
    for row in await troubles.of_chargers(tx, {row.charger_id for row in rows}):
        values = (getattr(row, name) for name in (*troubles.KEYS, *troubles.COLUMNS))
        known[row.charger_id, row.organisation_id, row.kind] = Standing(*values)
    changed: dict[tuple[int, int, str], Standing] = {}
    over: dict[tuple[int, int, int], int] = {}  # many that left together, when one of them came back
    for row in rows:
        for kind in ("offline", "fault"):
            at = (row.charger_id, row.organisation_id, kind)
            trouble = known.setdefault(at, Standing(row.charger_id, row.organisation_id, kind))
            if await _followed(tx, trouble, row, over):
                changed[at] = trouble
    if changed:
        await troubles.put(tx, [msgspec.structs.astuple(trouble) for trouble in changed.values()])
    for (organisation_id, location_id, many_ms), at_ms in over.items():
        if not await troubles.standing_with_many(tx, organisation_id, location_id, many_ms):
            await store.end(tx, organisation_id, many_key(location_id, many_ms), at_ms)


async def _followed(tx: Transaction, trouble: Standing, row: Row, over: dict[tuple[int, int, int], int]) -> bool:
    """Let a trouble follow the charger's word; whether it changed."""
    said = msgspec.json.decode(row.details)
    status, offline = trouble_of(said["status"]), trouble.kind == "offline"
    number = said["epoch"] if offline else row.at_ms
    stands = trouble.ended_ms is None
    if status != trouble.kind:
        if not stands or (status == "offline" and not offline):  # a charger that is away may be faulted still
            return False
        await _end(tx, trouble, row.at_ms, over)
        return True
    if stands and (not offline or trouble.number == number):
        return False
    if stands:
        await _end(tx, trouble, row.at_ms, over)
    ours = offline and bool(said["ours"])
    since_ms = row.at_ms if ours or not offline else min(said["lost_ms"], row.at_ms)
    trouble.location_id, trouble.number, trouble.since_ms = row.location_id, number, since_ms
    trouble.counts_from_ms = counts_from_ms(since_ms, trouble.told_ms, ours=ours)
    trouble.ours, trouble.said = int(ours), "" if offline else str(said.get("said") or "")
    trouble.many_ms = trouble.ended_ms = None
    return True


async def _end(tx: Transaction, trouble: Standing, at_ms: int, over: dict[tuple[int, int, int], int]) -> None:
    trouble.ended_ms = at_ms
    if trouble.told_ms is not None:
        key = key_of(trouble.kind, trouble.charger_id, trouble.number)
        await store.end(tx, trouble.organisation_id, key, at_ms)
    if trouble.many_ms is not None:
        over[trouble.organisation_id, trouble.location_id, trouble.many_ms] = at_ms
