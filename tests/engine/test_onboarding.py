"""Adding chargers and what people change of them: the row, the line of the timeline, the hints."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import select

from borne.bus.memory import MemoryBus
from borne.bus.port import Hint
from borne.core.actor import Actor
from borne.engine import onboarding
from borne.engine.apply import Engine
from borne.engine.audit import Audit
from borne.engine.clock import Clock
from borne.engine.onboarding import Added, IdentityTakenError, charger_url, new_identity
from borne.store import chargers, organisations
from borne.store.chargers import Description, UnknownLocationError
from borne.store.db import Database
from borne.store.schema import events
from borne.store.secrets import ALPHABET, hash_secret, matches

KEY = b"k" * 32
CAMILLE = Actor(1, "Camille", "192.0.2.1")


class Place:
    db: Database
    bus: MemoryBus
    engine: Engine
    organisation_id: int
    location_id: int
    heard: list[Hint]
    audit: Audit

    async def add(self, **others: object) -> Added:
        values = {
            "organisation_id": self.organisation_id,
            "location_id": self.location_id,
            "name": "Quai 4",
            "now_ms": 5,
            "audit": self.audit,
            "by": CAMILLE,
            **others,
        }
        return await onboarding.add_charger(self.db, self.bus, KEY, **values)  # type: ignore[arg-type]

    async def row(self, charger_id: int) -> object:
        return await chargers.by_id(self.db, self.organisation_id, charger_id)

    async def lines(self, charger_id: int) -> list[tuple[str, dict[str, str]]]:
        found = await self.db.all(select(events.c.kind, events.c.details).where(events.c.charger_id == charger_id))
        return [(row.kind, json.loads(row.details)) for row in found]


@pytest.fixture
async def place(db: Database) -> AsyncIterator[Place]:
    place = Place()
    place.db, place.bus, place.heard = db, MemoryBus(), []
    async with place.db.transaction() as tx:
        place.organisation_id = await organisations.create(tx, name="A", plan="business", now_ms=0)
        place.location_id = await organisations.create_location(tx, place.organisation_id, name="Lyon", now_ms=0)
    place.bus.listen("directory", place.heard.append)
    place.bus.listen("charger", place.heard.append)
    place.engine = Engine(place.db, place.bus, Clock())
    place.audit = Audit(b"a key of the tests", Clock())
    place.engine.start()
    yield place
    await place.engine.stop()


async def test_a_charger_is_added_with_the_only_copy_of_its_password(place: Place) -> None:
    added = await place.add(serial="482113", model="pulsar-max")
    row = await chargers.by_id(place.db, place.organisation_id, added.charger_id)
    assert row is not None
    assert (row.name, row.serial, row.model, row.identity) == ("Quai 4", "482113", "pulsar-max", added.identity)
    assert row.secret_hash == hash_secret(KEY, added.password)
    assert matches(KEY, added.password, row.secret_hash)
    assert not matches(KEY, added.password + "x", row.secret_hash)
    assert not matches(b"another key", added.password, row.secret_hash)
    assert added.password.encode() not in row.secret_hash
    assert await place.lines(added.charger_id) == [("added", {"by": "Camille", "by_id": 1})]


async def test_gateway_and_pages_are_told_of_every_change(place: Place) -> None:
    added = await place.add()
    who = {"organisation_id": place.organisation_id, "charger_id": added.charger_id}
    what = Description(name="Quai 5", location_id=place.location_id)
    changes = (
        onboarding.describe(place.engine, **who, what=what, audit=place.audit, by=CAMILLE),
        onboarding.new_password(place.db, place.bus, KEY, **who, now_ms=7, audit=place.audit, by=CAMILLE),
        onboarding.set_disabled(place.db, place.bus, **who, disabled=True, now_ms=8, audit=place.audit, by=CAMILLE),
        onboarding.set_disabled(place.db, place.bus, **who, disabled=False, now_ms=9, audit=place.audit, by=CAMILLE),
    )
    for change in changes:
        await asyncio.sleep(0)
        place.heard.clear()
        assert await change
        await asyncio.sleep(0)
        told = {(hint.topic, hint.id, hint.organisation_id) for hint in place.heard}
        assert told == {
            ("directory", added.charger_id, place.organisation_id),
            ("charger", added.charger_id, place.organisation_id),
        }
    kinds = [kind for kind, _ in await place.lines(added.charger_id)]
    assert kinds == ["added", "edited", "secret_changed", "disabled", "enabled"]


async def test_without_a_name_it_is_called_by_its_serial_or_its_identity(place: Place) -> None:
    added = await place.add(name="", serial="SN 7")
    assert (await place.row(added.charger_id)).name == "SN 7"  # type: ignore[attr-defined]
    bare = await place.add(name="")
    assert (await place.row(bare.charger_id)).name == bare.identity  # type: ignore[attr-defined]
    what = Description(name="", location_id=place.location_id, serial="SN 8")
    assert await onboarding.describe(
        place.engine,
        organisation_id=place.organisation_id,
        charger_id=added.charger_id,
        what=what,
        audit=place.audit,
        by=CAMILLE,
    )
    assert (await place.row(added.charger_id)).name == "SN 8"  # type: ignore[attr-defined]


async def test_a_new_password_takes_the_old_ones_place(place: Place) -> None:
    added = await place.add()
    who = {"organisation_id": place.organisation_id, "charger_id": added.charger_id}
    password = await onboarding.new_password(place.db, place.bus, KEY, **who, now_ms=6, audit=place.audit, by=CAMILLE)
    assert password
    assert password != added.password
    row = await chargers.by_id(place.db, place.organisation_id, added.charger_id)
    assert row is not None
    assert matches(KEY, password, row.secret_hash)
    assert not matches(KEY, added.password, row.secret_hash)


async def test_another_organisations_charger_does_not_exist(place: Place) -> None:
    added = await place.add()
    who = {"organisation_id": place.organisation_id + 1, "charger_id": added.charger_id}
    what = Description(name="X", location_id=place.location_id)
    place.heard.clear()
    assert not await onboarding.describe(place.engine, **who, what=what, audit=place.audit, by=CAMILLE)
    assert (
        await onboarding.new_password(place.db, place.bus, KEY, **who, now_ms=6, audit=place.audit, by=CAMILLE) is None
    )
    assert not await onboarding.set_disabled(
        place.db, place.bus, **who, disabled=True, now_ms=6, audit=place.audit, by=CAMILLE
    )
    row = await chargers.by_id(place.db, place.organisation_id, added.charger_id)
    assert row is not None
    assert (row.name, row.disabled) == ("Quai 4", 0)


async def test_a_taken_identity_is_refused_and_a_random_one_is_tried_again(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    await place.add(identity="CP-1")
    with pytest.raises(IdentityTakenError):
        await place.add(identity="CP-1")
    offered = iter(["CP-1", "CP-1", "CP-2"])
    monkeypatch.setattr(onboarding, "new_identity", lambda: next(offered))
    assert (await place.add()).identity == "CP-2"


async def test_what_cannot_be_is_refused_before_anything_is_kept(place: Place) -> None:
    for wrong in ({"model": "toaster"}, {"identity": "a/b"}, {"identity": "x" * 49}, {"location_id": 99}):
        with pytest.raises((ValueError, UnknownLocationError)):
            await place.add(**wrong)
    assert await chargers.directory(place.db) == []


def test_identities_and_passwords_are_typed_without_mistakes() -> None:
    for identity in {new_identity() for _ in range(200)}:
        assert re.fullmatch(r"[A-HJKMNP-Z2-9]{4}-[A-HJKMNP-Z2-9]{4}", identity)
    assert not set("01oil") & set(ALPHABET)
    assert len({new_identity() for _ in range(1000)}) == 1000


def test_addresses_with_and_without_the_secret() -> None:
    assert charger_url("wss://ocpp.example/ocpp/", "K7QM-3XWA") == "wss://ocpp.example/ocpp/K7QM-3XWA"
    assert charger_url("wss://ocpp.example/ocpp", "K7QM-3XWA", "s3cret") == "wss://ocpp.example/ocpp/s3cret/K7QM-3XWA"
