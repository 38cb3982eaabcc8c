"""Gateway, engine and database together: from a socket to a verdict, and stored before it is answered."""

import asyncio
import json
from collections.abc import AsyncIterator
from random import Random
from typing import Any

import pytest
from msgspec.structs import replace
from sqlalchemy import select

from borne.core.tags import TagAnswer
from borne.engine.clock import Clock
from borne.gateway.attempts import Attempts
from borne.gateway.directory import Directory, Follower
from borne.gateway.links import Links
from borne.gateway.schema_files import load_dialects
from borne.gateway.server import Gateway
from borne.gateway.signs import flush_signs
from borne.store import chargers, people, tags
from borne.store.db import Database, Row
from borne.store.schema import chargers as charger_table
from borne.store.schema import readings, restarts, sessions
from tests.gateway.fakes import SETTINGS as DEFAULTS
from tests.gateway.peers import BOOT, call, dial, next_call
from tests.support.house import House, scope_of

SETTINGS = replace(DEFAULTS, flush_s=0.1)
pytestmark = pytest.mark.anyio


class Whole:
    """What wiring builds, without the portal."""

    def __init__(self, db: Database) -> None:
        self.house = House(db, Clock())  # type: ignore[arg-type]
        self.db = db
        self.charger_id = 0
        self.links: Any = None
        self.gateway: Any = None
        self.scope: Any = None

    async def start(self) -> None:
        house = self.house
        incarnation = await house.begin()
        organisation_id, (location_id,) = await house.organisation()
        self.scope = scope_of(await house.person(organisation_id), organisation_id)
        (self.charger_id,) = await house.chargers(organisation_id, location_id)

        async def authorise(charger_id: int, tag: str) -> TagAnswer:
            return await house.sessions.authorise(self.db, house.engine.room(charger_id), tag)

        loop = asyncio.get_running_loop()
        self.links = Links(
            house.engine,
            house.restarts.take,
            authorise,
            SETTINGS,
            incarnation=incarnation,
            rng=Random(1),
            loop=loop,
            tick_s=0.05,
        )
        self.links.listen(house.bus)
        directory = Directory(b"k", self.links.remove)
        await Follower(directory, self.db, house.bus, house.engine.clock, 1).load()
        self.gateway = Gateway(self.links, directory, Attempts(house.bus), load_dialects(), SETTINGS)
        await self.gateway.start()

    async def stop(self) -> None:
        await self.gateway.stop()
        await self.house.engine.stop()

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.gateway.port}/ocpp"

    async def charger(self) -> Row:
        row = await self.db.first(select(charger_table).where(charger_table.c.id == self.charger_id))
        assert row is not None
        return row

    async def restart(self) -> Row:
        row = await self.db.first(select(restarts).order_by(restarts.c.id.desc()))
        assert row is not None
        return row

    def dial(self, subprotocol: str = "ocpp1.6") -> Any:
        it: Any = self
        return dial(it, identity="C-1-1-0-pulsar-plus", secret=None, subprotocols=[subprotocol])


@pytest.fixture
async def whole(db: Database) -> AsyncIterator[Whole]:
    it = Whole(db)
    await it.start()
    yield it
    await it.stop()


async def until_phase(whole: Whole, *phases: str) -> Row:
    async with asyncio.timeout(5):
        while True:
            row = await whole.restart()
            if row.phase in phases:
                return row
            await asyncio.sleep(0.01)


async def test_a_click_becomes_a_reboot_and_a_verdict(whole: Whole) -> None:
    async with whole.dial() as socket:
        assert (await call(socket, "BootNotification", BOOT))[2]["status"] == "Accepted"
        assert (
            await call(
                socket, "StatusNotification", {"connectorId": 1, "errorCode": "NoError", "status": "Available"}, "2"
            )
        )[0] == 3
        row = await whole.charger()
        assert (row.online, row.epoch, row.status) == (1, 1, "ready")
        outcome = await whole.house.ask(whole.scope, whole.charger_id)
        assert outcome.reasons == ()
        frame = await next_call(socket)
        assert frame[2] == "Reset"
        await socket.send(json.dumps([3, frame[1], {"status": "Accepted"}]))
        await until_phase(whole, "accepted")
        socket.transport.abort()
    await until_phase(whole, "left")
    async with whole.dial() as socket:
        await call(socket, "BootNotification", BOOT)
        row = await until_phase(whole, "ended", "booted")
        assert row.verdict == "succeeded"
        assert (await whole.charger()).epoch == 2


async def test_a_session_is_stored_before_it_is_confirmed(whole: Whole) -> None:
    async with whole.dial() as socket:
        await call(socket, "BootNotification", BOOT)
        start = {"connectorId": 1, "idTag": "T", "meterStart": 10, "timestamp": "2026-11-22T12:00:00Z"}
        begun = await call(socket, "StartTransaction", start, "2")
        number = begun[2]["transactionId"]
        values = {
            "connectorId": 1,
            "transactionId": number,
            "meterValue": [{"timestamp": "x", "sampledValue": [{"value": "12.5", "unit": "kWh"}]}],
        }
        assert (await call(socket, "MeterValues", values, "3"))[0] == 3
        assert await whole.db.all(select(readings.c.quantity, readings.c.value, readings.c.transaction)) == [
            ("energy_import_wh", 12_500, str(number))
        ]
        again = await call(socket, "StartTransaction", start, "4")  # a retry under a new message id
        assert again[2]["transactionId"] == number
        stop = {"transactionId": number, "meterStop": 99, "timestamp": "2026-11-22T13:00:00Z"}
        assert (await call(socket, "StopTransaction", stop, "5"))[0] == 3
        (row,) = await whole.db.all(select(sessions.c.transaction, sessions.c.meter_start_wh, sessions.c.meter_stop_wh))
        assert tuple(row) == (str(number), 10, 99)


async def test_signs_of_life_reach_the_database_in_bulk(whole: Whole) -> None:
    async def save(rows: Any) -> None:
        async with whole.db.transaction() as tx:
            await chargers.flush_last_seen(tx, rows)

    async with whole.dial() as socket:
        await call(socket, "Heartbeat", {})
        before_ms = (await whole.charger()).last_seen_ms or 0
        await asyncio.sleep(0.05)
        await call(socket, "Heartbeat", {}, "2")
        flushing = asyncio.create_task(flush_signs(whole.links, save))
        await asyncio.sleep(0.3)
        flushing.cancel()
        assert (await whole.charger()).last_seen_ms > before_ms


UNTIL_MS = 4_102_444_800_000  # 2100-01-01


class Driver:
    """A user with the tag CARD, and what an admin changes about them."""

    def __init__(self, whole: Whole) -> None:
        self.whole = whole
        self.person_id = 0

    async def come(self) -> None:
        self.person_id = await self.whole.house.person(self.whole.scope.organisation_id, "user")
        await self.tag()

    async def tag(self, **known: Any) -> None:
        async with self.whole.db.transaction() as tx:
            fields = {"person_id": self.person_id, "group_tag": "FAMILY", **known}
            await tags.put(tx, self.whole.scope.organisation_id, "card", **fields)

    async def assign(self) -> None:
        async with self.whole.db.transaction() as tx:
            await people.assign(tx, person_id=self.person_id, charger_ids=[self.whole.charger_id])


async def test_authorize_follows_every_change_at_once_in_1_6(whole: Whole) -> None:
    driver = Driver(whole)
    await driver.come()
    async with whole.dial() as socket:
        await call(socket, "BootNotification", BOOT)

        async def said() -> dict[str, Any]:
            found: dict[str, Any] = (await call(socket, "Authorize", {"idTag": "Card"}, "9"))[2]["idTagInfo"]
            return found

        assert await said() == {"parentIdTag": "FAMILY", "status": "Invalid"}  # 1.6 has no word for "not here"
        await driver.assign()
        assert await said() == {"parentIdTag": "FAMILY", "status": "Accepted"}
        await driver.tag(expires_ms=UNTIL_MS)
        accepted = {"expiryDate": "2100-01-01T00:00:00.000Z", "parentIdTag": "FAMILY", "status": "Accepted"}
        assert await said() == accepted
        start = {"connectorId": 1, "idTag": "CARD", "meterStart": 10, "timestamp": "2026-11-22T12:00:00Z"}
        begun = (await call(socket, "StartTransaction", start, "2"))[2]
        assert begun["idTagInfo"] == accepted
        await driver.tag(expires_ms=1)
        assert (await said())["status"] == "Expired"
        await driver.tag(blocked=True, group_tag="longer than 20 characters")
        assert await said() == {"status": "Blocked"}
        stop = {
            "transactionId": begun["transactionId"],
            "idTag": "card",
            "meterStop": 99,
            "timestamp": "2026-11-22T13:00:00Z",
        }
        assert (await call(socket, "StopTransaction", stop, "3"))[2] == {"idTagInfo": {"status": "Blocked"}}
        row = await whole.db.first(select(sessions.c.person_id, sessions.c.meter_stop_wh))
        assert row == (driver.person_id, 99)


async def test_a_token_and_its_group_in_2_0_1(whole: Whole) -> None:
    driver = Driver(whole)
    await driver.come()
    token = {"idToken": "CARD", "type": "ISO14443"}
    group = {"idToken": "FAMILY", "type": "Central"}
    event = {
        "eventType": "Started", "timestamp": "2026-11-22T12:00:00Z", "triggerReason": "CablePluggedIn", "seqNo": 0,
        "transactionInfo": {"transactionId": "T1"}, "evse": {"id": 1, "connectorId": 1},
    }  # fmt: skip
    async with whole.dial("ocpp2.0.1") as socket:
        boot = {"reason": "PowerUp", "chargingStation": {"vendorName": "Test", "model": "Two"}}
        await call(socket, "BootNotification", boot)
        said = await call(socket, "Authorize", {"idToken": token}, "2")
        assert said[2] == {"idTokenInfo": {"status": "NotAtThisLocation", "groupIdToken": group}}
        await driver.assign()
        said = await call(socket, "Authorize", {"idToken": token}, "3")
        assert said[2] == {"idTokenInfo": {"status": "Accepted", "groupIdToken": group}}
        assert (await call(socket, "TransactionEvent", event, "4"))[2] == {}
        update = {**event, "eventType": "Updated", "triggerReason": "Authorized", "seqNo": 1, "idToken": token}
        said = await call(socket, "TransactionEvent", update, "5")
        assert said[2] == {"idTokenInfo": {"status": "Accepted", "groupIdToken": group}}
        end = {
            **event,
            "eventType": "Ended",
            "triggerReason": "StopAuthorized",
            "seqNo": 2,
            "idToken": {**token, "idToken": "?"},
        }
        assert (await call(socket, "TransactionEvent", end, "6"))[2] == {"idTokenInfo": {"status": "Invalid"}}
    row = await whole.db.first(select(sessions.c.tag, sessions.c.person_id, sessions.c.end_reason))
    assert row == ("CARD", driver.person_id, "")
