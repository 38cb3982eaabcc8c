"""News of chargers, as the engine writes them with the machines' states, and the troubles that are kept of them.

News are taken once: read, acted upon and deleted in one transaction.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Select, bindparam, case, delete, func, select, update

from borne.store.db import Reader, Row, Transaction
from borne.store.schema import chargers, locations, news, settings, troubles
from borne.store.tenancy import across

NEWS_COLUMNS = ("organisation_id", "location_id", "charger_id", "at_ms", "kind", "details")
KEYS = ("charger_id", "organisation_id", "kind")
COLUMNS = (
    "location_id", "number", "since_ms", "counts_from_ms", "ours", "said", "many_ms", "told_ms", "ended_ms",
)  # fmt: skip
LOOKED = "notifications_looked_ms"  # the row of `settings` that says until when troubles were looked at

EVERYBODY = "what happened to everybody's chargers is looked at together; each person is told within their own scope"
RETENTION = "retention is the same for every organisation"

_waiting = across(select(news).order_by(news.c.id).limit(bindparam("most")), EVERYBODY)
_drop = across(delete(news).where(news.c.id.in_(bindparam("ids", expanding=True))), EVERYBODY)
_of_chargers = across(select(troubles).where(troubles.c.charger_id.in_(bindparam("ids", expanding=True))), EVERYBODY)


def _standing(*conditions: ColumnElement[bool]) -> Select[Any]:
    """What stands, with the names; none of disabled chargers, or of those that went elsewhere meanwhile."""
    is_there = (
        (chargers.c.id == troubles.c.charger_id)
        & (chargers.c.organisation_id == troubles.c.organisation_id)
        & (chargers.c.location_id == troubles.c.location_id)
    )
    return (
        select(troubles, chargers.c.name.label("charger_name"), locations.c.name.label("location_name"))
        .join(chargers, is_there)
        .join(locations, locations.c.id == troubles.c.location_id)
        .where(
            troubles.c.kind == bindparam("kind"), troubles.c.ended_ms.is_(None), chargers.c.disabled == 0, *conditions
        )
        .order_by(troubles.c.counts_from_ms, troubles.c.charger_id)
    )


_crossing = across(
    _standing(troubles.c.counts_from_ms > bindparam("after_ms"), troubles.c.counts_from_ms <= bindparam("until_ms")),
    EVERYBODY,
)
_standing_in = _standing(
    troubles.c.organisation_id == bindparam("organisation_id"), troubles.c.location_id == bindparam("location_id")
)
_with_many = select(func.count()).where(
    troubles.c.organisation_id == bindparam("organisation_id"),
    troubles.c.location_id == bindparam("location_id"),
    troubles.c.kind == "offline",
    troubles.c.many_ms == bindparam("many"),
    troubles.c.ended_ms.is_(None),
)
_in_use = select(func.count()).where(
    chargers.c.organisation_id == bindparam("organisation_id"),
    chargers.c.location_id == bindparam("location_id"),
    chargers.c.status != "never",
    chargers.c.disabled == 0,
)
_looked_ms, _now_ms = bindparam("looked_ms", type_=BigInteger), bindparam("now_ms", type_=BigInteger)
_shift = across(
    update(troubles)
    .where(troubles.c.ended_ms.is_(None), troubles.c.counts_from_ms <= bindparam("later_ms"))
    .values(
        counts_from_ms=case(
            (troubles.c.ours == 1, bindparam("return_ms", type_=BigInteger)),
            (troubles.c.counts_from_ms <= _looked_ms, troubles.c.counts_from_ms + (_now_ms - _looked_ms)),
            else_=_now_ms,
        )
    ),
    "Borne's own absence is nobody's fault, in any organisation",
)
_names = across(
    select(
        chargers.c.id,
        chargers.c.name,
        chargers.c.organisation_id,
        chargers.c.location_id,
        locations.c.name.label("location_name"),
    )
    .join(locations, locations.c.id == chargers.c.location_id)
    .where(chargers.c.id.in_(bindparam("ids", expanding=True))),
    EVERYBODY,
)
_looked = select(settings.c.value).where(settings.c.name == LOOKED)
_old = across(
    select(troubles.c.charger_id)
    .where(troubles.c.kind.in_(("offline", "fault")), troubles.c.counts_from_ms < bindparam("before_ms"))
    .limit(bindparam("most")),
    RETENTION,
)
_prune = across(
    delete(troubles).where(
        troubles.c.charger_id.in_(_old), troubles.c.counts_from_ms < bindparam("before_ms", type_=BigInteger)
    ),
    RETENTION,
)


async def add_news(tx: Transaction, rows: Sequence[Sequence[Any]]) -> None:
    """Add rows of NEWS_COLUMNS."""
    await tx.insert_many(news, NEWS_COLUMNS, rows)


async def waiting(db: Reader, most: int) -> list[Row]:
    """The oldest news: whole rows."""
    return await db.all(_waiting, {"most": most}, fast=True)


async def drop_news(tx: Transaction, ids: Collection[int]) -> None:
    await tx.run(_drop, {"ids": list(ids)})


async def of_chargers(db: Reader, ids: Collection[int]) -> list[Row]:
    """The troubles that are known of these chargers, standing or over."""
    return await db.all(_of_chargers, {"ids": list(ids)})


async def put(tx: Transaction, rows: Sequence[Sequence[Any]]) -> None:
    """Save troubles: rows of KEYS and COLUMNS."""
    await tx.upsert_many(troubles, KEYS, COLUMNS, rows)


async def crossing(db: Reader, kind: str, after_ms: int, until_ms: int) -> list[Row]:
    """Standing troubles that count from within (after, until], with charger_name and location_name; none of disabled chargers."""
    return await db.all(_crossing, {"kind": kind, "after_ms": after_ms, "until_ms": until_ms})


async def standing_in(db: Reader, organisation_id: int, location_id: int) -> list[Row]:
    """The chargers of a location that are offline: rows as those of `crossing`, the first that left first."""
    wanted = {"organisation_id": organisation_id, "location_id": location_id, "kind": "offline"}
    return await db.all(_standing_in, wanted)


async def standing_with_many(db: Reader, organisation_id: int, location_id: int, many_ms: int) -> int:
    """How many of those that left together are still away."""
    wanted = {"organisation_id": organisation_id, "location_id": location_id, "many": many_ms}
    return int(await db.value(_with_many, wanted))


async def chargers_in_use(db: Reader, organisation_id: int, location_id: int) -> int:
    """How many chargers of a location have ever connected and are not disabled."""
    return int(await db.value(_in_use, {"organisation_id": organisation_id, "location_id": location_id}))


async def names(db: Reader, charger_ids: Collection[int]) -> dict[int, Row]:
    """id, name, organisation_id, location_id, location_name of the chargers that still exist, by id."""
    return {row.id: row for row in await db.all(_names, {"ids": list(charger_ids)})}


async def mark(tx: Transaction, column: str, found: Iterable[Row], at_ms: int) -> None:
    """Set `told_ms` or `many_ms` of these troubles, all of one kind."""
    rows = {row.charger_id: (row.charger_id, row.organisation_id, row.kind, at_ms) for row in found}
    if rows:
        await tx.update_many(troubles, KEYS, (column,), list(rows.values()))


async def shift(tx: Transaction, looked_ms: int, now_ms: int, return_ms: int) -> None:
    """Nobody looked from then to now: what stood before counts that much later, what began meanwhile from now, and a loss of
    our making from when the charger had time to return."""
    later_ms = max(looked_ms, now_ms)
    await tx.run(_shift, {"looked_ms": looked_ms, "now_ms": now_ms, "return_ms": return_ms, "later_ms": later_ms})


async def looked_ms(db: Reader) -> int | None:
    """Until when troubles were looked at; None: never."""
    found = await db.value(_looked)
    return None if found is None else int(found)


async def set_looked(tx: Transaction, at_ms: int) -> None:
    await tx.upsert_many(settings, ("name",), ("value",), [(LOOKED, str(at_ms))])


async def prune(tx: Transaction, before_ms: int, limit: int = 2_000) -> int:
    """Forget troubles that began before this instant. Returns how many."""
    return await tx.run(_prune, {"before_ms": before_ms, "most": limit})
