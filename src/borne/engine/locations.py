"""Locations as people change them: one transaction with its audit row; the names that chargers are found by follow in slices."""

from __future__ import annotations

import asyncio

import msgspec

from borne.bus.port import Bus, Hint
from borne.core.actor import Actor
from borne.core.metering_slots import SLOT_MS
from borne.core.tariff import EnergyPrice, Fixed
from borne.engine.audit import About, Audit
from borne.engine.clock import NowMs
from borne.engine.plans import room_for
from borne.store import charger_places, energy_prices, jobs
from borne.store import locations as store
from borne.store.charger_list import fold
from borne.store.db import Database, Transaction
from borne.store.locations import Details, Needs

KIND = "name_location"
SLICE = 200  # chargers of a renamed location, a transaction: some 10 ms


class NameTakenError(ValueError):
    """Another location of the organisation has this name."""


class CurrencyInUseError(ValueError):
    """Prices in the old currency are known: they would say something else in another."""


class NamingJob(msgspec.Struct):
    """The payload of the job that writes a new name into the chargers' search text, after those up to `after_id`."""

    organisation_id: int
    location_id: int
    after_id: int


class Locations:
    """Adding, changing and deleting."""

    def __init__(self, db: Database, bus: Bus, clock: NowMs, audit: Audit) -> None:
        self._db = db
        self._bus = bus
        self._clock = clock
        self._audit = audit

    async def add(self, organisation_id: int, actor: Actor, details: Details, price_micros: int | None = None) -> int:
        """Add a location, with its first energy price, and return its id. Raises NameTakenError, plans.NoRoomError."""
        now_ms = self._clock.now_ms()
        async with self._db.transaction() as tx:
            await room_for(tx, organisation_id, "locations", now_ms=now_ms)
            await _check_name(tx, organisation_id, None, details.name)
            location_id = await store.create(tx, organisation_id, details, now_ms)
            told = _told(details)
            if price_micros is not None:
                price = EnergyPrice(now_ms // SLOT_MS * SLOT_MS, Fixed(price_micros))
                await energy_prices.add(
                    tx, organisation_id, location_id, price, currency=details.currency, person_name=actor.name,
                    now_ms=now_ms,
                )  # fmt: skip
                told["energy_cost_micros"] = price_micros
            about = About(kind="location", id=location_id, name=details.name)
            await self._audit.record(tx, actor, "location.added", about, organisation_id=organisation_id, after=told)
        self._bus.publish(Hint("location", location_id, organisation_id, location_id))
        return location_id

    async def change(self, organisation_id: int, location_id: int, actor: Actor, details: Details) -> bool:
        """Replace what people say of it. False: no such location. Raises NameTakenError, CurrencyInUseError."""
        named: list[int] = []
        async with self._db.transaction() as tx:
            row = await store.hold(tx, organisation_id, location_id)
            if row is None:
                return False
            before = store.details_of(row)
            if before == details:
                return True
            await _check_name(tx, organisation_id, location_id, details.name)
            if before.currency != details.currency and await energy_prices.history(tx, organisation_id, location_id):
                raise CurrencyInUseError(before.currency)
            await store.describe(tx, organisation_id, location_id, details)
            was, is_now = _differences(before, details)
            about = About(kind="location", id=location_id, name=details.name)
            await self._audit.record(
                tx, actor, "location.changed", about, organisation_id=organisation_id, before=was, after=is_now
            )
            if before.name != details.name:
                named = await self._begin_naming(tx, organisation_id, location_id, details.name)
        self._bus.publish(Hint("location", location_id, organisation_id, location_id))
        self._tell(organisation_id, location_id, named)
        return True

    async def remove(self, organisation_id: int, location_id: int, actor: Actor) -> Needs | None:
        """Delete it, unless something needs it: then nothing happens, and what it is stands in the answer. None: no such."""
        async with self._db.transaction() as tx:
            row = await store.hold(tx, organisation_id, location_id)
            if row is None:
                return None
            needs = await store.needs(tx, organisation_id, location_id, self._clock.now_ms())
            if needs.any:
                return needs
            await store.remove(tx, organisation_id, location_id)
            about = About(kind="location", id=location_id, name=row.name)
            await self._audit.record(tx, actor, "location.deleted", about, organisation_id=organisation_id)
        self._bus.publish(Hint("location", location_id, organisation_id, location_id))
        return needs

    # ---- the name, where chargers are searched -------------------------------------------------------------------

    async def _begin_naming(self, tx: Transaction, organisation_id: int, location_id: int, name: str) -> list[int]:
        """The first slice in the transaction of the change itself; a job for the others, if there are any."""
        named = await charger_places.name_again(tx, organisation_id, location_id, name, most=SLICE)
        if len(named) == SLICE:
            job = NamingJob(organisation_id, location_id, named[-1])
            await jobs.enqueue(tx, KIND, msgspec.json.encode(job).decode(), self._clock.now_ms())
        return named

    async def name_chargers(self, payload: str) -> None:
        """The job. It writes the name of the moment, so that it may run twice, or after the next change."""
        job = msgspec.json.decode(payload, type=NamingJob)
        after_id = job.after_id
        while True:
            async with self._db.transaction() as tx:
                row = await store.hold(tx, job.organisation_id, job.location_id)
                if row is None:
                    return
                named = await charger_places.name_again(
                    tx, job.organisation_id, job.location_id, row.name, after_id=after_id, most=SLICE
                )
            self._tell(job.organisation_id, job.location_id, named)
            if len(named) < SLICE:
                return
            after_id = named[-1]
            await asyncio.sleep(0)

    def _tell(self, organisation_id: int, location_id: int, charger_ids: list[int]) -> None:
        for charger_id in charger_ids:
            self._bus.publish(Hint("charger", charger_id, organisation_id, location_id, charger_id))
        if len(charger_ids) == SLICE:
            self._bus.publish(Hint("job", 0))


async def _check_name(tx: Transaction, organisation_id: int, location_id: int | None, name: str) -> None:
    """Names are told apart as a search does: neither capitals nor accents nor spaces make a difference."""
    for other_id, other in (await store.names(tx, organisation_id)).items():
        if other_id != location_id and plain(other) == plain(name):
            raise NameTakenError(name)


def plain(name: str) -> str:
    """The name as it is compared."""
    return " ".join(fold(name).split())


def _told(details: Details) -> dict[str, object]:
    return {name: value for name, value in msgspec.structs.asdict(details).items() if value not in ("", None)}


def _differences(before: Details, after: Details) -> tuple[dict[str, object], dict[str, object]]:
    old, new = msgspec.structs.asdict(before), msgspec.structs.asdict(after)
    changed = [name for name in old if old[name] != new[name]]
    return {name: old[name] for name in changed}, {name: new[name] for name in changed}
