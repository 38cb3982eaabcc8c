"""What energy costs: tariffs of locations, each from an instant on and never changed, and lists of day-ahead prices."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from sqlalchemy import bindparam, select

from borne.core.tariff import EnergyPrice, Tariff
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


async def of_location(db: Reader, location_id: int) -> list[EnergyPrice]:
    """All that energy ever cost at a location, in order."""
    rows = await db.all(_of_location, {"location_id": location_id}, fast=True)
    return [EnergyPrice(row.from_ms, _decode(row.tariff), row.feed_in_micros) for row in rows]


async def history(db: Reader, organisation_id: int, location_id: int) -> list[Row]:
    """The rows of a location's prices with who set them, the newest first."""
    return await db.all(_history, {"organisation_id": organisation_id, "location_id": location_id})


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
