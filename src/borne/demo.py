"""`borne demo`: three organisations and simulated chargers that really connect and really reboot, several badly."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections import defaultdict
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click
import msgspec

from borne import logs
from borne import settings as settings_module
from borne.core.actor import BORNE
from borne.serve import fail, prepare, stop_on_signals
from borne.settings import DEMO_FOLDER, Gateway, RestartRules, RunningDemo, Settings, SettingsError

if TYPE_CHECKING:
    from borne.sim.demo_plan import DemoCharger
    from borne.sim.members import FleetMember
    from borne.wiring import Server

PASSWORD = "borne-demo"
SEED = 1914
# Short enough that every verdict can be watched within about 90 s.
QUICK_LINKS = {"ping_s": 5.0, "settle_s": 5.0, "heartbeat_s": 10, "opens_a_minute": 20}
QUICK_VERDICTS = RestartRules(deadline_least_s=60, deadline_most_s=60)


class DemoPerson(msgspec.Struct, frozen=True):
    """Somebody to log in as. `locations`: those an admin runs. `chargers`: how many of the organisation's a user may use."""

    email: str
    name: str
    organisation: str
    role: str
    says: str
    locations: tuple[str, ...] = ()
    chargers: int = 0
    operates: bool = False


PEOPLE = (
    DemoPerson(
        "camille@demo.test", "Camille Roux", "Atelier Lumière", "super-admin", "super-admin, Business", operates=True
    ),
    DemoPerson(
        "ali@demo.test",
        "Ali Benali",
        "Atelier Lumière",
        "admin",
        "admin of Nantes, Entrepôt",
        locations=("Nantes, Entrepôt",),
    ),
    DemoPerson("zoe@demo.test", "Zoé Martin", "Atelier Lumière", "user", "user with three chargers", chargers=3),
    DemoPerson("hugo@demo.test", "Hugo Leroy", "Hôtel du Parc", "super-admin", "super-admin, Standard"),
    DemoPerson("ines@demo.test", "Inès Durand", "Maison Durand", "super-admin", "super-admin, Basic"),
)


@click.command()
@click.option("--folder", default=DEMO_FOLDER, show_default=True, help="Where the demo keeps its database.")
@click.option("--seed", default=SEED, show_default=True, help="Of the simulated chargers' chance.")
def demo(folder: str, seed: int) -> None:
    """Run the demo on loopback only, until Ctrl-C."""
    logs.configure("warning", "text")
    try:
        settings = demo_settings(folder)
    except SettingsError as error:
        fail(str(error))
    prepare(settings)
    from borne.wiring import run_loop

    run_loop(_run(settings, seed))


def demo_settings(folder: str) -> Settings:
    """The demo's settings: short times, loopback, ports and database from the environment as ever."""
    settings = settings_module.load(None)
    for part in (settings.portal, settings.gateway):
        if part.host not in ("127.0.0.1", "::1", "localhost"):
            raise SettingsError("the demo has known passwords and listens on loopback only; use borne serve")
    gateway = msgspec.structs.replace(settings.gateway, **QUICK_LINKS)
    return msgspec.structs.replace(
        settings, data_folder=folder, gateway=msgspec.convert(gateway, Gateway), restarts=QUICK_VERDICTS
    )


async def _run(settings: Settings, seed: int) -> None:
    from borne.store.db import StoreError
    from borne.wiring import Server

    try:
        server = Server(settings)
        async with server:
            stop_on_signals(server.stop)
            members = await provision(server)
            async with _fleet(members, seed), _findable(settings):
                _say(settings, len(members))
                await server.stopped.wait()
    except (SettingsError, StoreError, OSError) as error:
        fail(str(error))
    if server.failure:
        fail(server.failure, 1)


@contextlib.asynccontextmanager
async def _findable(settings: Settings) -> AsyncIterator[None]:
    """`borne admin` finds the demo inside the block."""
    if settings.data_folder != DEMO_FOLDER:
        yield
        return
    RunningDemo(os.getpid(), settings).write()
    try:
        yield
    finally:
        RunningDemo.forget()


@contextlib.asynccontextmanager
async def _fleet(members: list[FleetMember], seed: int) -> AsyncIterator[None]:
    """The chargers, alive inside the block."""
    from borne.sim.fleet import Fleet
    from borne.sim.websocket_dial import dial_websocket

    fleet = Fleet(members, dial=dial_websocket, now=lambda: datetime.now(UTC), seed=seed, stagger_s=0.05)
    task = asyncio.create_task(fleet.run(), name="fleet")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def provision(server: Server) -> list[FleetMember]:
    """Make what the demo needs and does not have yet; give every charger a new password and return those that connect."""
    from borne.sim.demo_plan import demo_fleet_plan

    plan = demo_fleet_plan()
    organisations = await _make_organisations(server, plan)
    chargers = await _make_chargers(server, plan, organisations)
    await _make_people(server, organisations, chargers)
    members = []
    for charger in plan:
        if charger.connects:
            members.append(
                await _member(server, charger, organisations[charger.organisation], chargers[charger.serial])
            )
    return members


async def _make_organisations(server: Server, plan: list[DemoCharger]) -> dict[str, int]:
    """Organisations and their locations by name; the Business one first, so that `borne admin` takes it by default."""
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
                await store.create_location(
                    tx, made[name], name=location, now_ms=now_ms, time_zone="Europe/Paris", accepts_unknown_tags=True
                )
    return made


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


def _say(settings: Settings, count: int) -> None:
    width = max(len(person.email) for person in PEOPLE)
    lines = [
        "",
        f"  Borne's demo is on {settings.portal_url}",
        f"  {count} simulated chargers connect to {settings.gateway_url}/{{identity}}",
        "",
        f"  Log in with the password {PASSWORD} as",
        *(f"    {person.email:<{width}}  {person.says} ({person.organisation})" for person in PEOPLE),
        "",
        "  Open a charger and restart it: its name says how it will behave. Every verdict takes 90 s at most.",
        "  The program is .venv/bin/borne. Ctrl-C ends the demo.",
        "",
    ]
    click.echo("\n".join(lines))
