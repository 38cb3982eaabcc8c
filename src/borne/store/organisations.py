"""Organisations and their locations."""

from __future__ import annotations

from sqlalchemy import bindparam, false, func, select, update

from borne.core.scope import Scope
from borne.store.db import Reader, Row, Transaction
from borne.store.schema import locations, organisations
from borne.store.tenancy import across

_first = across(
    select(organisations).order_by(organisations.c.id).limit(1), "the shell of the installation names an organisation"
)
_named = across(
    select(organisations).where(organisations.c.name == bindparam("name")).order_by(organisations.c.id).limit(1),
    "the shell of the installation names an organisation",
)
_locations = (
    select(locations)
    .where(locations.c.organisation_id == bindparam("organisation_id"))
    .order_by(locations.c.name, locations.c.id)
)
_set_unknown_tags = (
    update(locations)
    .where(locations.c.organisation_id == bindparam("of_organisation_id"), locations.c.id == bindparam("location_id"))
    .values(accepts_unknown_tags=bindparam("accepts"))
)

_by_id = select(organisations).where(organisations.c.id == bindparam("organisation_id"))
_held = _by_id.with_for_update()
_describe = (
    update(organisations)
    .where(organisations.c.id == bindparam("organisation_id"))
    .values(name=bindparam("new_name"), requires_second_factor=bindparam("new_requires"))
)
_time_zone = select(locations.c.time_zone).where(
    locations.c.organisation_id == bindparam("organisation_id"), locations.c.id == bindparam("location_id")
)


_name = select(organisations.c.name).where(organisations.c.id == bindparam("organisation_id"))


async def create(tx: Transaction, *, name: str, plan: str, now_ms: int) -> int:
    """Add an organisation and return its id."""
    return await tx.insert(organisations, {"name": name, "plan": plan, "created_ms": now_ms})


async def by_id(db: Reader, organisation_id: int) -> Row | None:
    """All columns of an organisation."""
    return await db.first(_by_id, {"organisation_id": organisation_id}, fast=True)


async def hold(tx: Transaction, organisation_id: int) -> Row | None:
    """The same, kept from others until the transaction ends."""
    return await tx.first(_held, {"organisation_id": organisation_id})


async def describe(tx: Transaction, organisation_id: int, *, name: str, requires_second_factor: bool) -> None:
    """Change its name, and whether each of its people needs a second factor."""
    wanted = {"new_name": name, "new_requires": int(requires_second_factor)}
    await tx.run(_describe, {"organisation_id": organisation_id, **wanted})


async def by_name(db: Reader, name: str) -> Row | None:
    """The oldest organisation of exactly this name."""
    return await db.first(_named, {"name": name})


async def first(db: Reader) -> Row | None:
    """The organisation that was made first."""
    return await db.first(_first, fast=True)


async def create_location(
    tx: Transaction,
    organisation_id: int,
    *,
    name: str,
    now_ms: int,
    address: str = "",
    time_zone: str = "UTC",
    accepts_unknown_tags: bool = False,
) -> int:
    """Add a location (time zone: an IANA name) and return its id."""
    values = {
        "organisation_id": organisation_id,
        "name": name,
        "address": address,
        "time_zone": time_zone,
        "accepts_unknown_tags": int(accepts_unknown_tags),
        "created_ms": now_ms,
    }
    return await tx.insert(locations, values)


async def locations_of(db: Reader, organisation_id: int) -> list[Row]:
    """id, organisation_id, name, address, time_zone, accepts_unknown_tags, created_ms of all locations, by name."""
    return await db.all(_locations, {"organisation_id": organisation_id})


async def accept_unknown_tags(tx: Transaction, organisation_id: int, location_id: int, accepts: bool) -> bool:
    """Decide whether tags that the organisation does not know may charge here. False: no such location."""
    wanted = {"of_organisation_id": organisation_id, "location_id": location_id, "accepts": int(accepts)}
    return await tx.run(_set_unknown_tags, wanted) == 1


async def time_zone_of(db: Reader, organisation_id: int, location_id: int) -> str:
    """The IANA name of a location's time zone; UTC for a location that is gone."""
    wanted = {"organisation_id": organisation_id, "location_id": location_id}
    return await db.value(_time_zone, wanted, fast=True) or "UTC"


async def zone_of_scope(db: Reader, scope: Scope, location_id: int | None) -> str:
    """The time zone in which this person's days begin: the location's, else the one that most of their locations share."""
    statement = select(locations.c.time_zone).where(locations.c.organisation_id == scope.organisation_id)
    if location_id is not None:
        statement = statement.where(locations.c.id == location_id)
    elif scope.location_ids is not None:
        statement = statement.where(locations.c.id.in_(scope.location_ids) if scope.location_ids else false())
    statement = statement.group_by(locations.c.time_zone).order_by(func.count().desc(), locations.c.time_zone).limit(1)
    return await db.value(statement) or "UTC"


async def name_of(db: Reader, organisation_id: int) -> str:
    """What it is called; "" when it is gone."""
    return await db.value(_name, {"organisation_id": organisation_id}) or ""
