"""Chargers as people decide about them: made, given a secret, disabled, moved, deleted; and the gateway's directory of them.

What the machines project onto the same rows is loaded and saved in `rooms`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from itertools import islice

import msgspec
from sqlalchemy import bindparam, delete, or_, select, update

from borne.core.models import model_of
from borne.store.charger_list import search_text
from borne.store.db import Reader, Row, Transaction
from borne.store.schema import access_group_chargers, assignments, chargers, locations
from borne.store.tenancy import across

BULK_ROWS = 1000
LAST_SEEN_SLICE = 500  # rows of one flush: some 5 ms

C = chargers.c
_COLUMNS = (
    "organisation_id", "location_id", "name", "serial", "model", "vendor", "model_name", "identity", "secret_hash", "settle_s",
    "ping_s", "created_ms", "changed_ms", "search",
)  # fmt: skip
_entry = across(
    select(
        C.id,
        C.organisation_id,
        C.location_id,
        C.identity,
        C.secret_hash,
        C.settle_s,
        C.ping_s,
        C.disabled,
        C.model,
        C.changed_ms,
    ),
    "the gateway must know every charger that may dial in",
)
_directory = (
    _entry.where(C.changed_ms >= bindparam("since_ms"), C.id > bindparam("after_id"))
    .order_by(C.id)
    .limit(bindparam("most"))
)
_one_entry = _entry.where(C.id == bindparam("charger_id"))
_by_identity = _entry.where(C.identity == bindparam("identity"))
_mine = (C.id == bindparam("charger_id"), C.organisation_id == bindparam("of_organisation_id"))
_one = select(chargers).where(*_mine)
_set_secret = update(chargers).where(*_mine).values(secret_hash=bindparam("new_hash"), changed_ms=bindparam("now_ms"))
_set_disabled = (
    update(chargers).where(*_mine).values(disabled=bindparam("new_disabled"), changed_ms=bindparam("now_ms"))
)
_describe = (
    update(chargers)
    .where(*_mine)
    .values(
        name=bindparam("new_name"),
        serial=bindparam("new_serial"),
        model=bindparam("new_model"),
        vendor=bindparam("new_vendor"),
        model_name=bindparam("new_model_name"),
        location_id=bindparam("new_location_id"),
        search=bindparam("new_search"),
        changed_ms=bindparam("now_ms"),
    )
)
_existed_since = (
    update(chargers).where(*_mine, C.created_ms > bindparam("since_ms")).values(created_ms=bindparam("since_ms"))
)
_set_identity = (
    update(chargers).where(*_mine).values(identity=bindparam("new_identity"), secret_hash=bindparam("new_hash"))
)
_delete = delete(chargers).where(*_mine)
_unassign = delete(assignments).where(assignments.c.charger_id.in_(select(C.id).where(*_mine)))
_ungroup = delete(access_group_chargers).where(
    access_group_chargers.c.organisation_id == bindparam("of_organisation_id"),
    access_group_chargers.c.charger_id.in_(select(C.id).where(*_mine)),
)
_place_names = (
    select(locations.c.id, locations.c.name)
    .where(
        locations.c.organisation_id == bindparam("organisation_id"),
        locations.c.id.in_(bindparam("ids", expanding=True)),
    )
    .with_for_update(read=True)  # the name is copied into `search`: not renamed or deleted meanwhile
)
_seen = across(
    update(chargers)
    .where(C.id == bindparam("charger_id"), or_(C.last_seen_ms.is_(None), C.last_seen_ms < bindparam("seen_ms")))
    .values(last_seen_ms=bindparam("seen_ms")),
    "signs of life of all chargers are written together",
)

_by_serial = (
    select(C.id)
    .where(C.organisation_id == bindparam("organisation_id"), C.serial == bindparam("serial"))
    .order_by(C.id)
    .limit(1)
)


class NewCharger(msgspec.Struct, frozen=True, kw_only=True):
    """A charger to be made. `identity` is unique in the installation; `secret_hash` None: it may connect without a password."""

    organisation_id: int
    location_id: int
    name: str
    identity: str
    secret_hash: bytes | None = None
    serial: str = ""
    model: str = "other"
    vendor: str = ""
    model_name: str = ""
    settle_s: int | None = None
    ping_s: int | None = None


class Description(msgspec.Struct, frozen=True, kw_only=True):
    """What people say of a charger and may change."""

    name: str
    location_id: int
    serial: str = ""
    model: str = "other"
    vendor: str = ""
    model_name: str = ""


class UnknownLocationError(ValueError):
    """There is no such location in the organisation of the charger."""


async def create(tx: Transaction, new: NewCharger, now_ms: int) -> int:
    """Add a charger and return its id. Raises Conflict when the identity is taken, UnknownLocationError."""
    places = await _places(tx, [new])
    return (await tx.insert_ids(chargers, _COLUMNS, [_row(new, places, now_ms)]))[0]


async def create_again(tx: Transaction, charger_id: int, new: NewCharger, now_ms: int) -> None:
    """Add a charger under an id that it had before. Raises as `create` does."""
    places = await _places(tx, [new])
    await tx.insert_many(chargers, ("id", *_COLUMNS), [(charger_id, *_row(new, places, now_ms))])


async def create_some(tx: Transaction, new: Sequence[NewCharger], now_ms: int) -> list[int]:
    """Add some chargers, at most a few hundred; their ids. Raises Conflict when an identity is taken, UnknownLocationError."""
    places = await _places(tx, new)
    return await tx.insert_ids(chargers, _COLUMNS, [_row(one, places, now_ms) for one in new])


async def create_many(tx: Transaction, new: Iterable[NewCharger], now_ms: int) -> int:
    """Add any number of chargers, in slices between which the loop runs. Returns how many."""
    waiting, total = iter(new), 0
    while part := list(islice(waiting, BULK_ROWS)):
        places = await _places(tx, part)
        await tx.insert_many(chargers, _COLUMNS, [_row(one, places, now_ms) for one in part])
        total += len(part)
        await asyncio.sleep(0)
    return total


async def directory(db: Reader, changed_since_ms: int = 0, *, after_id: int = 0, limit: int = 5000) -> list[Row]:
    """What the gateway must know of chargers that people changed since then, `limit` at a time in the order of their ids.

    Rows of id, organisation_id, location_id, identity, secret_hash, settle_s, ping_s, disabled, model, changed_ms. A deleted
    charger is not among them: its hint says so, and reading everything anew shows it.
    """
    return await db.all(_directory, {"since_ms": changed_since_ms, "after_id": after_id, "most": limit})


async def directory_entry(db: Reader, charger_id: int) -> Row | None:
    """One row of the directory; None when the charger is gone."""
    return await db.first(_one_entry, {"charger_id": charger_id}, fast=True)


async def by_identity(db: Reader, identity: str) -> Row | None:
    """One row of the directory; None when no charger has this identity."""
    return await db.first(_by_identity, {"identity": identity}, fast=True)


async def by_id(db: Reader, organisation_id: int, charger_id: int) -> Row | None:
    """All columns of a charger; None when it is another organisation's."""
    return await db.first(_one, _key(organisation_id, charger_id), fast=True)


async def existed_since(tx: Transaction, organisation_id: int, charger_id: int, since_ms: int) -> None:
    """A charger is found to be older than its row: its past is known from then on."""
    await tx.run(
        _existed_since, {"of_organisation_id": organisation_id, "charger_id": charger_id, "since_ms": since_ms}
    )


async def by_serial(db: Reader, organisation_id: int, serial: str) -> int | None:
    """The id of the organisation's charger with this serial; the first where several have it."""
    found: int | None = await db.value(_by_serial, {"organisation_id": organisation_id, "serial": serial})
    return found


async def set_secret(tx: Transaction, organisation_id: int, charger_id: int, secret_hash: bytes, now_ms: int) -> bool:
    """Replace the hash of the link's secret. False: no such charger."""
    return (
        await tx.run(_set_secret, {**_key(organisation_id, charger_id), "new_hash": secret_hash, "now_ms": now_ms}) == 1
    )


async def set_disabled(tx: Transaction, organisation_id: int, charger_id: int, disabled: bool, now_ms: int) -> bool:
    """Refuse a charger's links from now on, or take them again. False: no such charger."""
    wanted = {**_key(organisation_id, charger_id), "new_disabled": int(disabled), "now_ms": now_ms}
    return await tx.run(_set_disabled, wanted) == 1


async def describe(tx: Transaction, organisation_id: int, charger_id: int, what: Description, now_ms: int) -> bool:
    """Change what people say of a charger, also its location. False: no such charger. Raises UnknownLocationError."""
    known = await tx.first(_one, _key(organisation_id, charger_id))
    if known is None:
        return False
    place = _place(await _names(tx, organisation_id, {what.location_id}), organisation_id, what.location_id)
    values = {f"new_{name}": value for name, value in msgspec.structs.asdict(what).items()}
    search = search_of(what, known.identity, place)
    return (
        await tx.run(_describe, {**_key(organisation_id, charger_id), **values, "new_search": search, "now_ms": now_ms})
        == 1
    )


async def put_in_place(
    tx: Transaction,
    organisation_id: int,
    charger_id: int,
    what: Description,
    identity: str,
    secret_hash: bytes,
    now_ms: int,
) -> bool:
    """Another device in the place of a charger: its description, identity and secret. False: no such charger.

    Raises Conflict when the identity is taken, UnknownLocationError.
    """
    key = _key(organisation_id, charger_id)
    if await tx.run(_set_identity, {**key, "new_identity": identity, "new_hash": secret_hash}) == 0:
        return False
    return await describe(tx, organisation_id, charger_id, what, now_ms)


async def remove(tx: Transaction, organisation_id: int, charger_id: int) -> bool:
    """Delete a charger and who may use it; its restarts and sessions stay in the history. False: no such charger."""
    for statement in (_unassign, _ungroup):
        await tx.run(statement, _key(organisation_id, charger_id))
    return await tx.run(_delete, _key(organisation_id, charger_id)) == 1


async def flush_last_seen(tx: Transaction, rows: Sequence[tuple[int, int]]) -> None:
    """Write (charger_id, seen_ms) where that is later than what is known. Give LAST_SEEN_SLICE rows a transaction at most."""
    await tx.run_many(_seen, [{"charger_id": charger_id, "seen_ms": seen_ms} for charger_id, seen_ms in rows])


async def location_name(db: Reader, organisation_id: int, location_id: int) -> str:
    """The name of one of the organisation's locations; "" when it has none of this id."""
    return (await _names(db, organisation_id, {location_id})).get((organisation_id, location_id), "")


def _key(organisation_id: int, charger_id: int) -> dict[str, int]:
    return {"charger_id": charger_id, "of_organisation_id": organisation_id}


async def _places(db: Reader, new: Iterable[NewCharger]) -> dict[tuple[int, int], str]:
    """The names of locations, by organisation and id."""
    wanted: dict[int, set[int]] = {}
    for one in new:
        wanted.setdefault(one.organisation_id, set()).add(one.location_id)
    found: dict[tuple[int, int], str] = {}
    for organisation_id, ids in wanted.items():
        found |= await _names(db, organisation_id, ids)
    return found


async def _names(db: Reader, organisation_id: int, ids: Iterable[int]) -> dict[tuple[int, int], str]:
    rows = await db.all(_place_names, {"organisation_id": organisation_id, "ids": list(ids)})
    return {(organisation_id, row.id): row.name for row in rows}


def _place(places: dict[tuple[int, int], str], organisation_id: int, location_id: int) -> str:
    try:
        return places[organisation_id, location_id]
    except KeyError:
        raise UnknownLocationError(f"organisation {organisation_id} has no location {location_id}") from None


def _row(new: NewCharger, places: dict[tuple[int, int], str], now_ms: int) -> tuple[object, ...]:
    search = search_of(new, new.identity, _place(places, new.organisation_id, new.location_id))
    return (
        new.organisation_id, new.location_id, new.name, new.serial, new.model, new.vendor, new.model_name, new.identity,
        new.secret_hash, new.settle_s, new.ping_s, now_ms, now_ms, search,
    )  # fmt: skip


def search_of(what: NewCharger | Description | Row, identity: str, location_name: str) -> str:
    """The value of `chargers.search`, of a charger as it is or will be."""
    kind = f"{what.vendor} {what.model_name}" if what.vendor or what.model_name else model_of(what.model).name
    return search_text(what.name, what.serial, kind, location_name, identity)
