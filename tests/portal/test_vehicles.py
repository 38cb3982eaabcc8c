"""Vehicles: whose they are, who sees them, and which sessions become theirs by badge, by person and by hand."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from sqlalchemy import select

from borne.bus.memory import MemoryBus
from borne.engine.metering import Meter
from borne.engine.prices import Prices
from borne.store import chargers, tags
from borne.store import vehicles as store
from borne.store.chargers import NewCharger
from borne.store.schema import sessions, vehicles
from tests.support.portal import Portal, log_in, post, running_portal

pytestmark = pytest.mark.anyio
CAMILLE, ALI, NADIA, OSCAR = "camille@a.test", "ali@a.test", "nadia@a.test", "oscar@a.test"
ZOE, UMA, EVE = "zoe@a.test", "uma@a.test", "eve@b.test"
START_MS = 1_779_000_000_000


@dataclass
class Fleet:
    portal: Portal
    here: int
    lyon_id: int
    charger_id: int
    zoe_id: int
    uma_id: int

    @asynccontextmanager
    async def client(self, who: str) -> AsyncIterator[httpx.AsyncClient]:
        async with self.portal.client() as client:
            assert (await log_in(client, who)).status_code == 303
            yield client

    async def session(self, person_id: int | None, tag: str | None, number: int = 1) -> int:
        """A session of an hour with 7 kWh that is over and was not measured yet."""
        async with self.portal.db.transaction() as tx:
            return await tx.insert(
                sessions,
                {
                    "charger_id": self.charger_id, "organisation_id": self.here, "location_id": self.lyon_id, "evse": 1,
                    "connector": 1, "transaction": str(number), "start_key": f"{person_id} {tag} {number}", "tag": tag,
                    "person_id": person_id, "started_ms": START_MS, "meter_start_wh": 0, "ended_ms": START_MS + 3_600_000,
                    "meter_stop_wh": 7_000, "dirty": 1,
                },
            )  # fmt: skip

    async def measure(self) -> None:
        await Meter(self.portal.db, MemoryBus(), self.portal.clock, Prices(self.portal.db, self.portal.clock)).once()

    async def vehicle_of(self, session_id: int) -> int | None:
        found: int | None = await self.portal.db.value(select(sessions.c.vehicle_id).where(sessions.c.id == session_id))
        return found

    async def known(self) -> list[tuple[str, int | None, str | None]]:
        rows = await self.portal.db.all(select(vehicles).order_by(vehicles.c.id))
        return [(row.name, row.person_id, row.tag) for row in rows]

    async def add(self, **details: object) -> int:
        async with self.portal.db.transaction() as tx:
            return await store.add(tx, self.here, store.Details(**details), 1)  # type: ignore[arg-type]


@pytest.fixture
async def fleet(tmp_path: Path) -> AsyncIterator[Fleet]:
    async with running_portal(tmp_path) as portal:
        here, lyon_id = await portal.add_organisation("Atelier")
        there, _ = await portal.add_organisation("Other")
        async with portal.db.transaction() as tx:
            new = NewCharger(organisation_id=here, location_id=lyon_id, name="Bay 1", identity="B1", serial="B1")
            charger_id = await chargers.create(tx, new, 1)
        await portal.add_person(CAMILLE, (here, "super-admin"))
        await portal.add_person(ALI, (here, "admin"), location_ids=(lyon_id,))
        await portal.add_person(NADIA, (here, "admin"))
        await portal.add_person(OSCAR, (here, "operator"), location_ids=(lyon_id,))
        zoe_id = await portal.add_person(ZOE, (here, "user"), charger_ids=(charger_id,))
        uma_id = await portal.add_person(UMA, (here, "user"))
        await portal.add_person(EVE, (there, "super-admin"))
        async with portal.db.transaction() as tx:
            await tags.put(tx, here, "zz01", name="Blue", person_id=zoe_id)
            await tags.put(tx, here, "uu01", name="Red", person_id=uma_id)
            await tags.put(tx, here, "pool", name="Pool", person_id=None)
        yield Fleet(portal, here, lyon_id, charger_id, zoe_id, uma_id)


async def test_a_driver_adds_changes_and_takes_out_their_own(fleet: Fleet) -> None:
    async with fleet.client(ZOE) as zoe:
        answer = await post(
            zoe, "/vehicles", name="Zoé’s car", battery="52", use="16,5", replaced="Clio", litres="6.4", tag="ZZ01"
        )
        assert answer.status_code == 303, answer.text
        row = await fleet.portal.db.first(select(vehicles))
        assert row is not None
        assert (row.battery_wh, row.wh_100km, row.replaced_ml_100km, row.tag) == (52_000, 16_500, 6_400, "zz01")
        assert row.person_id == fleet.zoe_id, "whatever a form says"
        text = (await zoe.get(f"/vehicles/{row.id}")).text
        assert 'value="16.50"' in text
        assert (await post(zoe, f"/vehicles/{row.id}", name="Mine", email=UMA)).status_code == 303
        assert await fleet.known() == [("Mine", fleet.zoe_id, None)]
        assert "Mine" in (await zoe.get("/vehicles")).text
        assert (await post(zoe, f"/vehicles/{row.id}/archive")).status_code == 303
        assert "No vehicle yet" in (await zoe.get("/vehicles")).text


async def test_nobody_takes_the_badge_or_the_vehicle_of_somebody_else(fleet: Fleet) -> None:
    uma_car = await fleet.add(person_id=fleet.uma_id, name="Uma’s car", tag="uu01")
    async with fleet.client(ZOE) as zoe:
        for tag in ("uu01", "pool", "none"):
            answer = await post(zoe, "/vehicles", name="A", tag=tag)
            assert answer.status_code == 422
            assert "No badge of yours" in answer.text
        assert (await zoe.get(f"/vehicles/{uma_car}")).status_code == 404
        assert (await post(zoe, f"/vehicles/{uma_car}", name="A")).status_code == 404
        assert "Uma" not in (await zoe.get("/vehicles")).text
    async with fleet.client(CAMILLE) as camille:
        answer = await post(camille, "/vehicles", name="A", email=ZOE, tag="uu01")
        assert "somebody else’s" in answer.text
        answer = await post(camille, "/vehicles", name="A", email=UMA, tag="uu01")
        assert "Another vehicle has this badge" in answer.text
        answer = await post(camille, "/vehicles", name="A", email=EVE)
        assert "No user of yours" in answer.text


async def test_staff_see_the_vehicles_of_those_whom_they_see(fleet: Fleet) -> None:
    for name, person_id in (("Zoé’s car", fleet.zoe_id), ("Uma’s car", fleet.uma_id), ("Pool car", None)):
        await fleet.add(person_id=person_id, name=name)
    seen = {CAMILLE: (1, 1, 1), ALI: (1, 0, 1), OSCAR: (1, 0, 1), NADIA: (0, 0, 1), UMA: (0, 1, 0), EVE: (0, 0, 0)}
    for who, expected in seen.items():
        async with fleet.client(who) as client:
            text = (await client.get("/vehicles")).text
            assert tuple(int(f">{name}</a>" in text) for name in ("Zoé’s car", "Uma’s car", "Pool car")) == expected, (
                who
            )
    async with fleet.client(CAMILLE) as camille:
        assert "Zoé" not in (await camille.get("/vehicles?q=uma@", headers={"hx-request": "true"})).text


@pytest.mark.parametrize(
    "form", [{"name": ""}, {"name": "A", "use": "-3"}, {"name": "A", "battery": "9" * 30}, {"name": "A", "litres": "0"}]
)
async def test_what_is_wrong_is_said(fleet: Fleet, form: dict[str, str]) -> None:
    async with fleet.client(ZOE) as zoe:
        answer = await post(zoe, "/vehicles", **form)
        assert answer.status_code == 422
        assert "note bad" in answer.text
    assert await fleet.known() == []


# ---- whose session -----------------------------------------------------------------------------------------------


async def test_a_session_that_is_over_finds_its_vehicle_by_badge_or_by_person(fleet: Fleet) -> None:
    pool = await fleet.add(person_id=None, name="Pool car", tag="pool")
    mine = await fleet.add(person_id=fleet.zoe_id, name="Zoé’s car")
    one = await fleet.add(person_id=fleet.uma_id, name="A", tag="uu01")
    await fleet.add(person_id=fleet.uma_id, name="B")
    ids = [
        await fleet.session(None, "POOL"), await fleet.session(fleet.zoe_id, "ZZ01"),
        await fleet.session(fleet.uma_id, "UU01"), await fleet.session(fleet.uma_id, "OTHER"), await fleet.session(None, "X"),
    ]  # fmt: skip
    await fleet.measure()
    assert [await fleet.vehicle_of(one_id) for one_id in ids] == [pool, mine, one, None, None]


async def test_a_new_vehicle_takes_the_past_sessions_that_are_its_own_and_nobody_else_s(fleet: Fleet) -> None:
    ids = [await fleet.session(fleet.zoe_id, "ZZ01"), await fleet.session(fleet.uma_id, "UU01")]
    await fleet.measure()
    async with fleet.client(ZOE) as zoe:
        await post(zoe, "/vehicles", name="Zoé’s car")
    found = [await fleet.vehicle_of(one) for one in ids]
    assert found[0] is not None
    assert found[1] is None


async def test_by_hand_beats_the_badge_and_auto_brings_it_back(fleet: Fleet) -> None:
    mine = await fleet.add(person_id=fleet.zoe_id, name="Zoé’s car")
    pool = await fleet.add(person_id=None, name="Pool car")
    session_id = await fleet.session(fleet.zoe_id, "ZZ01")
    await fleet.measure()
    async with fleet.client(CAMILLE) as camille:
        for word, expected in ((str(pool), pool), ("none", 0), ("auto", mine)):
            assert (await post(camille, f"/sessions/{session_id}/vehicle", vehicle=word)).status_code == 303
            await fleet.measure()
            assert await fleet.vehicle_of(session_id) == expected, word
        assert (await post(camille, f"/sessions/{session_id}/vehicle", vehicle="x" * 40)).status_code == 422
        assert (await post(camille, f"/sessions/{session_id}/vehicle", vehicle="999999")).status_code == 409
    for who in (UMA, EVE, NADIA, OSCAR):
        async with fleet.client(who) as client:
            assert (await post(client, f"/sessions/{session_id}/vehicle", vehicle="none")).status_code == 404, who
    async with fleet.client(ZOE) as zoe:
        assert (await post(zoe, f"/sessions/{session_id}/vehicle", vehicle=str(pool))).status_code == 409, (
            "not hers to see"
        )
