"""How a simulated world begins: one organisation with two locations, two people and its chargers, on an empty database."""

from __future__ import annotations

import atexit
import shutil
import sqlite3
import tempfile
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from borne.core.tariff import EnergyPrice, Fixed
from borne.sim.behaviour import Habits
from borne.sim.crashing_server import KEY
from borne.sim.records import Charger
from borne.store import chargers as charger_store
from borne.store import energy_prices, people, secrets, tags
from borne.store import organisations as organisation_store
from borne.store.chargers import NewCharger
from borne.store.db import create_database
from borne.store.migrate import migrate

if TYPE_CHECKING:
    from borne.sim.world import World

EPOCH = datetime(2026, 3, 1, 6, tzinfo=UTC)
EPOCH_MS = int(EPOCH.timestamp() * 1000)
SHARED_MEMORY = Path("/dev/shm")
PASSWORD = "a-simulated-secret"
PEOPLE = ("Ada", "Ben")  # super-admin; admin of the first location, who may lose the role


async def found(world: World) -> None:
    """One organisation with two locations and two people, and its chargers."""
    shutil.copy(template(), world.path)
    db = create_database(f"sqlite:///{world.path}", threads=False, durable=False)
    await db.open()
    async with db.transaction() as tx:
        organisation = await organisation_store.create(tx, name="World", plan="business", now_ms=EPOCH_MS)
        world.organisation_id = organisation
        world.locations = [
            await organisation_store.create_location(
                tx, organisation, name=name, now_ms=EPOCH_MS, accepts_unknown_tags=True
            )
            for name in ("Here", "There")
        ]
        world.people = []
        for name, role in zip(PEOPLE, ("super-admin", "admin"), strict=True):
            person = await people.add_person(
                tx, email=f"{name}@world.test".lower(), name=name, password_hash=None, language=None,
                operates_installation=False, now_ms=EPOCH_MS,
            )  # fmt: skip
            await people.add_membership(tx, person_id=person, organisation_id=organisation, role=role)
            world.people.append(person)
        await people.set_locations(
            tx, person_id=world.people[1], organisation_id=organisation, location_ids=world.locations[:1]
        )
        for charger in world.chargers:
            charger.id = await charger_store.create(tx, _row_of(world, charger), EPOCH_MS)
        here = EnergyPrice(0, Fixed(250_000))
        await energy_prices.add(
            tx, organisation, world.locations[0], here, currency="EUR", person_name=PEOPLE[0], now_ms=EPOCH_MS
        )
        tag = Habits().tag
        await tags.put(tx, organisation, tag, person_id=world.people[0])
    await db.close()


def _row_of(world: World, charger: Charger) -> NewCharger:
    plan = charger.plan
    return NewCharger(
        organisation_id=world.organisation_id,
        location_id=world.locations[0],
        name=charger.identity,
        identity=charger.identity,
        secret_hash=secrets.hash_secret(KEY, PASSWORD) if plan.has_secret else None,
        model=plan.model,
        ping_s=plan.ping_s,
    )


def folder() -> Path:
    """Where a world's database lives: in memory where that is possible."""
    return Path(tempfile.mkdtemp(prefix="borne-world-", dir=SHARED_MEMORY if SHARED_MEMORY.is_dir() else None))


@lru_cache
def template() -> Path:
    """An empty database, migrated once a process."""
    place = folder()
    atexit.register(shutil.rmtree, place, ignore_errors=True)
    path = place / "empty.sqlite"
    migrate(f"sqlite:///{path}")
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    return path
