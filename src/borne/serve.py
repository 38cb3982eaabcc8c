"""`borne serve`: Borne for real use."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import click

from borne import logs
from borne import settings as settings_module
from borne.settings import Settings, SettingsError

log = logging.getLogger("borne")

UNUSABLE = 2  # exit status: settings, a taken port, a database that cannot be served
FAILED = 1


@click.command()
@click.option("--config", envvar="BORNE_CONFIG", type=click.Path(dir_okay=False), help="Settings file (TOML).")
def serve(config: str | None) -> None:
    """Run the portal and the OCPP gateway until Ctrl-C or SIGTERM. Brings the database up to date first, and says so."""
    try:
        settings = settings_module.load(config)
    except SettingsError as error:
        fail(str(error))
    logs.configure(settings.log_level, settings.log_format)
    prepare(settings)
    from borne.wiring import run_loop

    run_loop(run(settings))


def prepare(settings: Settings) -> None:
    """Make the data folder and bring the database up to date; ends the program with a sentence when that cannot be."""
    from borne.store.db import StoreError
    from borne.store.migrate import migrate

    try:
        Path(settings.data_folder).mkdir(parents=True, exist_ok=True, mode=0o700)
        migrate(settings.database, say=log.info)
    except (StoreError, OSError) as error:
        fail(str(error))


async def run(settings: Settings) -> None:
    """Serve until somebody or something says stop."""
    from borne.store.db import StoreError
    from borne.wiring import Server

    try:
        server = Server(settings)
        async with server:
            stop_on_signals(server.stop)
            announce(server.settings, server.setup_code)
            await server.stopped.wait()
            log.info("stopping")
    except (SettingsError, StoreError, OSError) as error:
        fail(str(error))
    if server.failure:
        fail(server.failure, FAILED)


def announce(settings: Settings, setup_code: str | None) -> None:
    """Say where Borne is, and how to make the first account."""
    log.info("portal on %s, OCPP gateway on %s/{identity}", settings.portal_url, settings.gateway_url)
    if setup_code is not None:
        log.warning("there is no account yet: open %s/setup and type the code %s", settings.portal_url, setup_code)


def stop_on_signals(stop: Callable[[], None]) -> None:
    """Ctrl-C and SIGTERM end orderly; a second one ends at once."""
    loop = asyncio.get_running_loop()

    def first(number: signal.Signals) -> None:
        for each in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(each)
        stop()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, first, number)


def fail(sentence: str, status: int = UNUSABLE) -> NoReturn:
    """End the program with one line."""
    click.echo(f"borne: {sentence}", err=True)
    sys.exit(status)
