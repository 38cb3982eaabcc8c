"""`borne demo`: three organisations and simulated chargers that really connect and really reboot, several badly."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click
import msgspec

from borne import logs
from borne import settings as settings_module
from borne.demo.belongings import furnish
from borne.demo.people import PASSWORD, PEOPLE
from borne.demo.provision import provision
from borne.serve import fail, prepare, stop_on_signals
from borne.settings import DEMO_FOLDER, Gateway, RestartRules, RunningDemo, Settings, SettingsError

if TYPE_CHECKING:
    from borne.sim.members import FleetMember
    from borne.wiring import Server

SEED = 1914
# Short enough that every verdict can be watched within about 90 s.
QUICK_LINKS = {"ping_s": 5.0, "settle_s": 5.0, "heartbeat_s": 10, "opens_a_minute": 20}
QUICK_VERDICTS = RestartRules(deadline_least_s=60, deadline_most_s=60)


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
            await furnish(server)
            async with _fleet(members, seed), _remembering(server, seed), _findable(settings):
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
async def _remembering(server: Server, seed: int) -> AsyncIterator[None]:
    """Twelve months of history are made inside the block, the first time."""
    from borne.demo.past import remember

    task = asyncio.create_task(remember(server, seed), name="past")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


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
