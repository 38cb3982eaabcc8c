"""Makes what the demo needs and does not have yet: organisations, locations, prices, chargers, people and their tags."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from borne.core.actor import BORNE
from borne.core.tariff import Band, Fixed, Tariff, TimeOfUse
from borne.demo import sun
from borne.demo.people import PASSWORD, PEOPLE, SHARED_TAGS

if TYPE_CHECKING:
    from borne.sim.demo_plan import DemoCharger
    from borne.sim.members import FleetMember
    from borne.store.locations import Details
    from borne.wiring import Server

PRICES_SINCE_MS = 400 * 86_400_000
WEEKDAYS, ALL_DAYS = (0, 1, 2, 3, 4), (0, 1, 2, 3, 4, 5, 6)
TARIFFS: dict[str, Tariff] = {  # micros of a euro a kWh
    "Lyon, Atelier": TimeOfUse((Band(WEEKDAYS, 7 * 60, 22 * 60, 215_000),), 148_000),
    "Lyon, Siège": Fixed(190_000),
    "Nantes, Entrepôt": TimeOfUse((Band(ALL_DAYS, 22 * 60 + 30, 6 * 60 + 30, 139_000),), 198_000),
    "Annecy, Hôtel": Fixed(210_000),
    "Dijon, Maison": TimeOfUse((Band(ALL_DAYS, 23 * 60, 7 * 60, 156_000),), 206_000),
}

PLACES: dict[str, tuple[str, int, int]] = {  # address, main breaker's amperes, phases
    "Lyon, Atelier": ("14 rue de la Lumière, 69003 Lyon", 160, 3),
    "Lyon, Siège": ("2 quai de Saône, 69002 Lyon", 125, 3),
    "Nantes, Entrepôt": ("ZA du Bois Briand, 44300 Nantes", 250, 3),
    "Annecy, Hôtel": ("5 avenue du Parc, 74000 Annecy", 100, 3),
    "Dijon, Maison": ("9 rue des Tilleuls, 21000 Dijon", 60, 1),
}


async def provision(server: Server) -> list[FleetMember]:
    """Make what the demo needs and does not have yet; give every charger a new password and return those that connect."""
    from borne.sim.demo_plan import demo_fleet_plan

    plan = demo_fleet_plan()
    organisations = await _make_organisations(server, plan)
    chargers = await _make_chargers(server, plan, organisations)
    await _make_people(server, organisations, chargers)
    await _make_tags(server, organisations)
    await _make_prices(server, organisations)
    members = []
    for charger in plan:
        if charger.connects:
            members.append(
                await _member(server, charger, organisations[charger.organisation], chargers[charger.serial])
            )
    return members


async def _make_organisations(server: Server, plan: list[DemoCharger]) -> dict[str, int]:
    """Organisations and their locations by name; the Business one first, so that `borne admin` takes it by default."""
    from borne.store import locations as places
    from borne.store import organisations as store

    now_ms, made = server.clock.now_ms(), {}
    for charger in plan:
        if charger.organisation in made:
            continue
        async with server.db.transaction() as tx:
            row = await store.by_name(tx, charger.organisation)
            made[charger.organisation] = (
                row.id
                if row is not None
                else await store.create(tx, name=charger.organisation, plan=charger.plan.casefold(), now_ms=now_ms)
            )
    for name, location in dict.fromkeys((charger.organisation, charger.location) for charger in plan):
        async with server.db.transaction() as tx:
            known = {row.name for row in await store.locations_of(tx, made[name])}
            if location not in known:
                await places.create(tx, made[name], _details(location), now_ms)
    return made


def _details(location: str) -> Details:
    from borne.store.locations import Details

    address, supply_a, phases = PLACES[location]
    return Details(
        name=location,
        address=address,
        time_zone="Europe/Paris",
        supply_a=supply_a,
        supply_phases=phases,
        accepts_unknown_tags=True,
    )


async def _make_chargers(server: Server, plan: list[DemoCharger], organisations: dict[str, int]) -> dict[str, int]:
    """Chargers by serial."""
    from borne.engine.onboarding import add_charger
    from borne.store import chargers as store
    from borne.store import organisations as organisation_store

    made = {}
    for charger in plan:
        organisation_id = organisations[charger.organisation]
        known = await store.by_serial(server.db, organisation_id, charger.serial)
        if known is not None:
            made[charger.serial] = known
            continue
        locations = {row.name: row.id for row in await organisation_store.locations_of(server.db, organisation_id)}
        added = await add_charger(
            server.db,
            server.bus,
            server.charger_key,
            organisation_id=organisation_id,
            location_id=locations[charger.location],
            name=charger.name,
            serial=charger.serial,
            model=charger.model,
            now_ms=server.clock.now_ms(),
            audit=server.audit,
            by=BORNE,
        )
        made[charger.serial] = added.charger_id
    return made


async def _make_people(server: Server, organisations: dict[str, int], chargers: dict[str, int]) -> None:
    from borne.sim.demo_plan import demo_fleet_plan
    from borne.store import organisations as organisation_store
    from borne.store import people as store

    password_hash = await server.passwords.hash(PASSWORD)
    by_organisation = defaultdict(list)
    for charger in demo_fleet_plan():
        by_organisation[charger.organisation].append(chargers[charger.serial])
    for person in PEOPLE:
        if await store.by_email(server.db, person.email) is not None:
            continue
        organisation_id = organisations[person.organisation]
        locations = {row.name: row.id for row in await organisation_store.locations_of(server.db, organisation_id)}
        async with server.db.transaction() as tx:
            person_id = await store.add_person(
                tx,
                email=person.email,
                name=person.name,
                password_hash=password_hash,
                language=None,
                operates_installation=person.operates,
                now_ms=server.clock.now_ms(),
            )
            await store.add_membership(tx, person_id=person_id, organisation_id=organisation_id, role=person.role)
            ids = [locations[name] for name in person.locations]
            await store.set_locations(tx, person_id=person_id, organisation_id=organisation_id, location_ids=ids)
            await store.assign(
                tx, person_id=person_id, charger_ids=by_organisation[person.organisation][: person.chargers]
            )


async def _make_tags(server: Server, organisations: dict[str, int]) -> None:
    from borne.store import people as people_store
    from borne.store import tags as store

    wanted = [(person.organisation, tag, "", person.email) for person in PEOPLE for tag in person.tags]
    wanted += [(organisation, tag, name, "") for organisation, tag, name in SHARED_TAGS]
    for organisation, tag, name, email in wanted:
        organisation_id = organisations[organisation]
        if await store.find(server.db, organisation_id, tag) is None:
            owner = await people_store.by_email(server.db, email) if email else None
            async with server.db.transaction() as tx:
                await store.put(tx, organisation_id, tag, name=name, person_id=owner.id if owner else None)


async def _make_prices(server: Server, organisations: dict[str, int]) -> None:
    """What energy costs, since before the demo's history begins."""
    from borne.core.tariff import EnergyPrice
    from borne.store import energy_prices
    from borne.store import organisations as organisation_store

    now_ms = server.clock.now_ms()
    for organisation_id in organisations.values():
        for row in await organisation_store.locations_of(server.db, organisation_id):
            tariff = TARIFFS.get(row.name)
            if tariff is None or await energy_prices.history(server.db, organisation_id, row.id):
                continue
            is_sunny = row.name == sun.SUNNY
            price = EnergyPrice(now_ms - PRICES_SINCE_MS, tariff, sun.FEED_IN_MICROS if is_sunny else 0)
            async with server.db.transaction() as tx:
                await energy_prices.add(
                    tx, organisation_id, row.id, price, currency="EUR", person_name=BORNE.name, now_ms=now_ms
                )
            if is_sunny:
                await sun.give_values(server, organisation_id, row)


async def _member(server: Server, charger: DemoCharger, organisation_id: int, charger_id: int) -> FleetMember:
    """The simulated charger, with a password of this run (only its hash is kept)."""
    from borne.engine.onboarding import tell
    from borne.store import chargers as store
    from borne.store.secrets import hash_secret, new_secret

    password = new_secret()
    async with server.db.transaction() as tx:
        secret_hash = hash_secret(server.charger_key, password)
        await store.set_secret(tx, organisation_id, charger_id, secret_hash, server.clock.now_ms())
    tell(server.bus, charger_id, organisation_id)
    row = await store.by_id(server.db, organisation_id, charger_id)
    if row is None:
        raise LookupError(f"{charger.name} is gone")
    url = f"ws://127.0.0.1:{server.settings.gateway.port}/ocpp"
    return charger.member(row.identity, password, url)
