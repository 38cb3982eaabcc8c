"""What energy costs: tariffs of locations, each from an instant on and never changed, and lists of day-ahead prices."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from sqlalchemy import bindparam, delete, func, select, update

from borne.core.tariff import Dynamic, EnergyPrice, Tariff
from borne.store.db import Reader, Row, Transaction
from borne.store.schema import energy_prices, listed_prices, price_lists
from borne.store.tenancy import across

_decode = msgspec.json.Decoder(Tariff).decode
_encode = msgspec.json.Encoder().encode

_of_location = across(
    select(energy_prices.c.from_ms, energy_prices.c.tariff, energy_prices.c.feed_in_micros)
    .where(energy_prices.c.location_id == bindparam("location_id"))
    .order_by(energy_prices.c.from_ms),
    "measuring prices the slots of a session by its location",
)
_history = (
    select(energy_prices)
    .where(
        energy_prices.c.location_id == bindparam("location_id"),
        energy_prices.c.organisation_id == bindparam("organisation_id"),
    )
    .order_by(energy_prices.c.from_ms.desc())
)
_listed = across(
    select(listed_prices.c.slot_ms, listed_prices.c.micros).where(
        listed_prices.c.price_list_id == bindparam("price_list_id"),
        listed_prices.c.slot_ms.in_(bindparam("slots", expanding=True)),
    ),
    "measuring prices the slots of a session by the list that its location's tariff names",
)
_lists = (
    select(price_lists)
    .where(price_lists.c.organisation_id == bindparam("organisation_id"))
    .order_by(price_lists.c.name, price_lists.c.id)
)
_until_now = (
    select(energy_prices.c.location_id, energy_prices.c.tariff, energy_prices.c.currency)
    .where(
        energy_prices.c.organisation_id == bindparam("organisation_id"),
        energy_prices.c.location_id.in_(bindparam("location_ids", expanding=True)),
        energy_prices.c.from_ms <= bindparam("now_ms"),
    )
    .order_by(energy_prices.c.location_id, energy_prices.c.from_ms)
)
_list = select(price_lists).where(
    price_lists.c.organisation_id == bindparam("organisation_id"), price_lists.c.id == bindparam("price_list_id")
)
_change_list = (
    update(price_lists)
    .where(
        price_lists.c.organisation_id == bindparam("of_organisation_id"), price_lists.c.id == bindparam("price_list_id")
    )
    .values(name=bindparam("new_name"), url=bindparam("new_url"), error=None)
)
_fetched = (
    update(price_lists)
    .where(
        price_lists.c.organisation_id == bindparam("of_organisation_id"),
        price_lists.c.id == bindparam("price_list_id"),
        price_lists.c.url == bindparam("of_url"),
    )
    .values(fetched_ms=bindparam("new_fetched_ms"), error=bindparam("new_error"))
)
_span = (
    select(func.count(), func.min(listed_prices.c.slot_ms), func.max(listed_prices.c.slot_ms))
    .select_from(listed_prices)
    .where(
        listed_prices.c.organisation_id == bindparam("organisation_id"),
        listed_prices.c.price_list_id == bindparam("price_list_id"),
    )
)
_between = (
    select(listed_prices.c.slot_ms, listed_prices.c.micros)
    .where(
        listed_prices.c.organisation_id == bindparam("organisation_id"),
        listed_prices.c.price_list_id == bindparam("price_list_id"),
        listed_prices.c.slot_ms >= bindparam("from_ms"),
        listed_prices.c.slot_ms < bindparam("until_ms"),
    )
    .order_by(listed_prices.c.slot_ms)
)
_to_fetch = across(
    select(price_lists).where(price_lists.c.url.is_not(None)).order_by(price_lists.c.id),
    "the daily job fetches the lists of all organisations; each keeps its own",
)
_dynamic = select(energy_prices.c.location_id, energy_prices.c.tariff).where(
    energy_prices.c.organisation_id == bindparam("organisation_id"), energy_prices.c.tariff.contains('"dynamic"')
)
_forget = delete(energy_prices).where(
    energy_prices.c.organisation_id == bindparam("of_organisation_id"),
    energy_prices.c.location_id == bindparam("of_location_id"),
)
_withdraw = delete(energy_prices).where(
    energy_prices.c.organisation_id == bindparam("of_organisation_id"),
    energy_prices.c.location_id == bindparam("of_location_id"),
    energy_prices.c.id == bindparam("of_id"),
    energy_prices.c.from_ms > bindparam("after_ms"),
)


class Counting(msgspec.Struct, frozen=True):
    """A tariff and its currency."""

    tariff: Tariff
    currency: str


async def of_location(db: Reader, location_id: int) -> list[EnergyPrice]:
    """All that energy ever cost at a location, in order."""
    rows = await db.all(_of_location, {"location_id": location_id}, fast=True)
    return [EnergyPrice(row.from_ms, _decode(row.tariff), row.feed_in_micros) for row in rows]


async def history(db: Reader, organisation_id: int, location_id: int) -> list[Row]:
    """The rows of a location's prices with who set them, the newest first."""
    return await db.all(_history, {"organisation_id": organisation_id, "location_id": location_id})


async def current(db: Reader, organisation_id: int, location_ids: Sequence[int], now_ms: int) -> dict[int, Counting]:
    """What counts now at each of these locations that has a price."""
    wanted = {"organisation_id": organisation_id, "location_ids": list(location_ids), "now_ms": now_ms}
    rows = await db.all(_until_now, wanted) if location_ids else []
    return {row.location_id: Counting(_decode(row.tariff), row.currency) for row in rows}  # the last one stays


def tariff_of(row: Row) -> Tariff:
    """The tariff in a row of `history`."""
    found: Tariff = _decode(row.tariff)
    return found


async def forget(tx: Transaction, organisation_id: int, location_id: int) -> None:
    """With a location its prices go; sessions keep what they cost."""
    await tx.run(_forget, {"of_organisation_id": organisation_id, "of_location_id": location_id})


async def withdraw(tx: Transaction, organisation_id: int, location_id: int, price_id: int, after_ms: int) -> bool:
    """Take back a price that counts from after an instant only. False: there is no such (any more)."""
    wanted = {"of_organisation_id": organisation_id, "of_location_id": location_id}
    return await tx.run(_withdraw, {**wanted, "of_id": price_id, "after_ms": after_ms}) == 1


async def add(
    tx: Transaction,
    organisation_id: int,
    location_id: int,
    price: EnergyPrice,
    *,
    currency: str,
    person_name: str,
    now_ms: int,
) -> int:
    """Add what energy costs from an instant on. Raises Conflict for an instant that has its price."""
    values = {
        "organisation_id": organisation_id,
        "location_id": location_id,
        "from_ms": price.from_ms,
        "tariff": _encode(price.tariff).decode(),
        "feed_in_micros": price.feed_in_micros,
        "currency": currency,
        "person_name": person_name,
        "created_ms": now_ms,
    }
    return await tx.insert(energy_prices, values)


async def lists(db: Reader, organisation_id: int) -> list[Row]:
    """The price lists of an organisation, by name."""
    return await db.all(_lists, {"organisation_id": organisation_id})


async def add_list(
    tx: Transaction, organisation_id: int, *, name: str, currency: str, url: str | None, now_ms: int
) -> int:
    """Add a price list. Raises Conflict for a name that is taken."""
    values = {
        "organisation_id": organisation_id,
        "name": name,
        "currency": currency,
        "url": url,
        "created_ms": now_ms,
    }
    return await tx.insert(price_lists, values)


async def put_listed(
    tx: Transaction, organisation_id: int, price_list_id: int, prices: Sequence[tuple[int, int]]
) -> None:
    """Keep (slot, micros a kWh) of a list; a known slot gets the new price. Sessions that were priced stay as they are."""
    rows = [(price_list_id, slot_ms, organisation_id, micros) for slot_ms, micros in prices]
    if rows:
        await tx.upsert_many(listed_prices, ("price_list_id", "slot_ms"), ("organisation_id", "micros"), rows)


async def listed(db: Reader, price_list_id: int, slots: Sequence[int]) -> dict[int, int]:
    """The prices of a list by slot."""
    rows = await db.all(_listed, {"price_list_id": price_list_id, "slots": list(slots)})
    return {row.slot_ms: row.micros for row in rows}


# ---- lists ---------------------------------------------------------------------------------------------------------


async def list_row(db: Reader, organisation_id: int, price_list_id: int) -> Row | None:
    """A price list; None: the organisation has no such."""
    return await db.first(_list, {"organisation_id": organisation_id, "price_list_id": price_list_id})


async def change_list(tx: Transaction, organisation_id: int, price_list_id: int, name: str, url: str | None) -> None:
    """Give it another name and address. Raises Conflict for a name that is taken."""
    key = {"of_organisation_id": organisation_id, "price_list_id": price_list_id}
    await tx.run(_change_list, {**key, "new_name": name, "new_url": url})


async def set_fetched(tx: Transaction, row: Row, *, fetched_ms: int | None, error: str | None) -> bool:
    """Note how the fetch of a list (its row) went: when it brought prices, or what stood in the way.

    False: it has another address by now, or is gone.
    """
    key = {"of_organisation_id": row.organisation_id, "price_list_id": row.id, "of_url": row.url}
    return await tx.run(_fetched, {**key, "new_fetched_ms": fetched_ms, "new_error": error}) == 1


async def span(db: Reader, organisation_id: int, price_list_id: int) -> tuple[int, int | None, int | None]:
    """How many slots a list has, and its first and last."""
    row = await db.first(_span, {"organisation_id": organisation_id, "price_list_id": price_list_id})
    assert row is not None
    return row[0], row[1], row[2]


async def listed_between(
    db: Reader, organisation_id: int, price_list_id: int, from_ms: int, until_ms: int
) -> list[Row]:
    """slot_ms and micros of a list between two instants."""
    wanted = {"organisation_id": organisation_id, "price_list_id": price_list_id}
    return await db.all(_between, {**wanted, "from_ms": from_ms, "until_ms": until_ms})


async def to_fetch(db: Reader) -> list[Row]:
    """The lists of all organisations that have an address."""
    return await db.all(_to_fetch)


async def locations_using(db: Reader, organisation_id: int, price_list_id: int) -> list[int]:
    """The locations whose energy ever cost what this list says."""
    rows = await db.all(_dynamic, {"organisation_id": organisation_id})
    return sorted({row.location_id for row in rows if _uses(_decode(row.tariff), price_list_id)})


def _uses(tariff: Tariff, price_list_id: int) -> bool:
    return isinstance(tariff, Dynamic) and tariff.list_id == price_list_id
