"""What the demo's people have: cars and those they replaced, a group of drivers, reports by mail, what savings rest on, a list
of market prices."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING
from zlib import crc32
from zoneinfo import ZoneInfo

import msgspec

from borne.core.actor import BORNE
from borne.core.metering_slots import SLOT_MS
from borne.core.savings import GRID_G_KWH_2024, KIND, Assumption
from borne.core.tariff import Dynamic, EnergyPrice

if TYPE_CHECKING:
    from borne.store.db import Transaction
    from borne.wiring import Server

MARK = "demo_belongings"
DAY_MS = 86_400_000
ZONE = ZoneInfo("Europe/Paris")
BUSINESS = "Atelier Lumière"


class Car(msgspec.Struct, frozen=True):
    """A vehicle: whose (an e-mail), or known by its tag; what it uses, and the car it replaced."""

    organisation: str
    name: str
    battery_wh: int
    wh_100km: int
    replaced: str
    replaced_ml_100km: int
    owner: str = ""
    tag: str | None = None


CARS = (
    Car(BUSINESS, "Berline de Camille", 58_300, 16_200, "Berline essence, 2014", 6_800, "camille@demo.test"),
    Car(BUSINESS, "Citadine d’Olivia", 51_000, 15_900, "Citadine 1.2, 2012", 5_900, "olivia@demo.test"),
    Car(BUSINESS, "Citadine de Zoé", 40_000, 14_800, "Citadine 1.4, 2009", 6_400, "zoe@demo.test"),
    Car(BUSINESS, "Fourgon 1", 75_000, 24_500, "Fourgon essence", 9_200, "ali@demo.test"),
    Car(BUSINESS, "Fourgon 2", 75_000, 25_100, "Fourgon essence", 9_400, tag="van-02"),
    Car(BUSINESS, "Fourgon 3", 75_000, 23_900, "Fourgon essence", 9_200, "malik@demo.test"),
    Car(BUSINESS, "Fourgon 4", 50_000, 22_700, "Fourgonnette 1.6", 7_600, "lea@demo.test"),
    Car("Maison Durand", "La familiale", 60_000, 17_300, "Break 1.8, 2011", 7_900, "ines@demo.test"),
)
GROUP, GROUP_PLACE, DRIVERS = (
    "Équipe terrain",
    "Nantes, Entrepôt",
    ("malik@demo.test", "lea@demo.test", "zoe@demo.test"),
)
REPORTS = (
    ("camille@demo.test", None, "pdf"),
    ("camille@demo.test", None, "xlsx"),
    ("ali@demo.test", GROUP_PLACE, "csv"),
)
ASSUMED: tuple[tuple[KIND, int, int, str], ...] = (  # how many days ago it began
    ("pump_price", 1_792_000, 420, "Demo: fuel cards, average of the year before"),
    ("pump_price", 1_738_000, 150, "Demo: fuel cards, average of the half-year"),
    ("grid_co2", GRID_G_KWH_2024["FR"], 420, "Ember, 2024, FR, location-based"),
)

# Lyon, Siège pays what the market says of each hour (thousandths of a euro a kWh, from midnight), and a markup.
MARKET, MARKET_PLACE, MARKET_DAYS = "Day-ahead, France (demo)", "Lyon, Siège", 90
MARKUP_MICROS, GAP_MICROS = 62_000, 190_000
HOURS = (62, 56, 51, 48, 50, 58, 78, 104, 118, 106, 88, 70, 58, 49, 46, 54, 74, 103, 139, 152, 134, 108, 88, 72)


async def furnish(server: Server) -> None:
    """Give them what they do not have yet, once; the market's prices on each start, until the end of tomorrow."""
    from borne.store import organisations, settings

    if await settings.get(server.db, MARK) is None:
        known = {}
        for name in dict.fromkeys(car.organisation for car in CARS):
            row = await organisations.by_name(server.db, name)
            if row is not None:
                known[name] = row.id
        async with server.db.transaction() as tx:
            await settings.put(tx, MARK, str(server.clock.now_ms()))
            await _cars(server, tx, known)
            if BUSINESS in known:
                await _drivers(server, tx, known[BUSINESS])
                await _reports(server, tx, known[BUSINESS])
                await _assumptions(server, tx, known[BUSINESS])
                await _market(server, tx, known[BUSINESS])
    await _market_prices(server)


async def _cars(server: Server, tx: Transaction, organisations: Mapping[str, int]) -> None:
    from borne.store import people, vehicles

    for car in CARS:
        owner = await people.by_email(tx, car.owner) if car.owner else None
        details = vehicles.Details(
            person_id=owner.id if owner else None,
            name=car.name,
            battery_wh=car.battery_wh,
            wh_100km=car.wh_100km,
            replaced=car.replaced,
            replaced_ml_100km=car.replaced_ml_100km,
            tag=car.tag,
        )
        if car.organisation in organisations:
            await vehicles.add(tx, organisations[car.organisation], details, server.clock.now_ms())


async def _drivers(server: Server, tx: Transaction, organisation_id: int) -> None:
    from borne.sim.demo_plan import demo_fleet_plan
    from borne.store import access_groups as store
    from borne.store import chargers, people

    group_id = await store.add(tx, organisation_id, GROUP, server.clock.now_ms())
    serials = [one.serial for one in demo_fleet_plan() if one.location == GROUP_PLACE]
    held = [await chargers.by_serial(tx, organisation_id, serial) for serial in serials]
    await store.add_chargers(tx, organisation_id, group_id, [one for one in held if one is not None])
    drivers = [await people.by_email(tx, email) for email in DRIVERS]
    await store.add_people(tx, organisation_id, group_id, [row.id for row in drivers if row is not None])


async def _reports(server: Server, tx: Transaction, organisation_id: int) -> None:
    from borne.engine import reports
    from borne.store import people
    from borne.store import reports as store

    now_ms = server.clock.now_ms()
    next_ms = reports.sent_ms(reports.next_month(reports.last_month(now_ms, ZONE)), ZONE)
    places = await _places(tx, organisation_id)
    for email, place, kind in REPORTS:
        person = await people.by_email(tx, email)
        if person is None:
            continue
        about = "location" if place else "organisation"
        rule_id = await store.add(
            tx, organisation_id, person.id, about=about, about_id=places.get(place) if place else None, kind=kind,
            next_ms=next_ms, now_ms=now_ms,
        )  # fmt: skip
        await server.reports.plan(tx, organisation_id, rule_id, next_ms)


async def _places(tx: Transaction, organisation_id: int) -> dict[str, int]:
    from borne.store import organisations

    return {row.name: row.id for row in await organisations.locations_of(tx, organisation_id)}


async def _assumptions(server: Server, tx: Transaction, organisation_id: int) -> None:
    from borne.store import savings

    now_ms = server.clock.now_ms()
    for kind, value, days_ago, source in ASSUMED:
        assumption = Assumption(kind, value, now_ms // DAY_MS - days_ago, source)
        await savings.assume(
            tx, organisation_id, assumption, currency="EUR" if kind == "pump_price" else None, person_name=BORNE.name,
            now_ms=now_ms,
        )  # fmt: skip


# ---- the market -------------------------------------------------------------------------------------------------------


async def _market(server: Server, tx: Transaction, organisation_id: int) -> None:
    """The list, and that a location pays by it; what it paid before stays in its history."""
    from borne.store import energy_prices as store

    now_ms, places = server.clock.now_ms(), await _places(tx, organisation_id)
    list_id = await store.add_list(tx, organisation_id, name=MARKET, currency="EUR", url=None, now_ms=now_ms)
    if MARKET_PLACE in places:
        price = EnergyPrice(_began_ms(now_ms), Dynamic(list_id, markup_micros=MARKUP_MICROS, micros=GAP_MICROS))
        await store.add(
            tx, organisation_id, places[MARKET_PLACE], price, currency="EUR", person_name=BORNE.name, now_ms=now_ms
        )


async def _market_prices(server: Server) -> None:
    from borne.store import energy_prices as store
    from borne.store import organisations

    organisation = await organisations.by_name(server.db, BUSINESS)
    lists = await store.lists(server.db, organisation.id) if organisation is not None else []
    row = next((one for one in lists if one.name == MARKET), None)
    if organisation is None or row is None:
        return
    now_ms = server.clock.now_ms()
    _, _, last_ms = await store.span(server.db, organisation.id, row.id)
    from_ms = _began_ms(now_ms) if last_ms is None else last_ms + SLOT_MS
    until_ms = _midnight_ms(now_ms, 2)
    async with server.db.transaction() as tx:
        await store.put_listed(tx, organisation.id, row.id, list(market_prices(from_ms, until_ms)))


def market_prices(from_ms: int, until_ms: int) -> Iterator[tuple[int, int]]:
    """Slots and micros a kWh, by the hour; always the same of the same hour. A sunny week-end may be below zero at noon."""
    for slot_ms in range(from_ms, until_ms, SLOT_MS):
        there = datetime.fromtimestamp(slot_ms / 1_000, UTC).astimezone(ZONE)
        day = there.toordinal()
        rest = 30_000 if there.weekday() > 4 else 0
        level = 600 + crc32(b"%d" % day) % 800
        yield slot_ms, HOURS[there.hour] * level - rest + crc32(b"%d %d" % (day, there.hour)) % 9_000


def _began_ms(now_ms: int) -> int:
    return _midnight_ms(now_ms, -MARKET_DAYS)


def _midnight_ms(now_ms: int, days: int) -> int:
    today: date = datetime.fromtimestamp(now_ms / 1_000, UTC).astimezone(ZONE).date()
    day = today + timedelta(days=days)
    return int(datetime(day.year, day.month, day.day, tzinfo=ZONE).timestamp() * 1_000)
