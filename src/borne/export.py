"""`borne export`: files from a shell, beside a running server."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, BinaryIO
from zoneinfo import ZoneInfo

import click

from borne.admin import organisation_named, run_with_database, with_config
from borne.core.scope import Scope

if TYPE_CHECKING:
    from borne.settings import Settings
    from borne.store.db import Database

DAY = click.DateTime(formats=["%Y-%m-%d"])


@click.group()
def export() -> None:
    """Write what Borne knows into files. Works beside a running server."""


@export.command()
@click.option("--layout", type=click.Choice(["portal", "tidy"]), default="portal", show_default=True)
@click.option("--organisation", help="By default the first that was made.")
@click.option("--since", type=DAY, help="The first day (YYYY-MM-DD), as it is in --time-zone.")
@click.option("--until", type=DAY, help="The day after the last one.")
@click.option("--time-zone", default="UTC", show_default=True, help="Of --since and --until (IANA name).")
@click.option("--out", type=click.File("wb"), default="-", help="A file; by default the standard output.")
@with_config
def sessions(
    layout: str,
    organisation: str | None,
    since: datetime | None,
    until: datetime | None,
    time_zone: str,
    out: BinaryIO,
    config: str | None,
) -> None:
    """All sessions of an organisation as CSV: in the 26 columns of the portal's file, or tidily for computing."""

    async def work(db: Database, loaded: Settings) -> None:
        from borne.portal.session_files import csv
        from borne.store.session_list import Filter

        found = await organisation_named(db, organisation)
        wanted = Filter(from_ms=_midnight_ms(since, time_zone), to_ms=_midnight_ms(until, time_zone))
        async for lines in csv(db, _everything(found.id), wanted, layout):
            out.write(lines)

    run_with_database(config, work)


def _everything(organisation_id: int) -> Scope:
    """What whoever owns the installation's files may read of an organisation."""
    return Scope(person_id=0, person_name="", organisation_id=organisation_id, role="super-admin", plan="business")


def _midnight_ms(day: datetime | None, time_zone: str) -> int | None:
    if day is None:
        return None
    try:
        return round(day.replace(tzinfo=ZoneInfo(time_zone)).timestamp() * 1_000)
    except (KeyError, ValueError, OSError):
        raise click.BadParameter(f"no time zone is named {time_zone}", param_hint="--time-zone") from None
