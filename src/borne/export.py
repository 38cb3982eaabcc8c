"""`borne export`: files from a shell, beside a running server."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
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
@click.option("--out", default="-", help="A file, which is there once it is whole; by default the standard output.")
@with_config
def sessions(
    layout: str,
    organisation: str | None,
    since: datetime | None,
    until: datetime | None,
    time_zone: str,
    out: str,
    config: str | None,
) -> None:
    """All sessions of an organisation as CSV: in the 26 columns of the portal's file, or tidily for computing.

    On a terminal it says how far it is.
    """

    async def work(db: Database, loaded: Settings) -> None:
        from borne.portal.session_files import csv
        from borne.store.session_count import count
        from borne.store.session_list import Filter

        found = await organisation_named(db, organisation)
        wanted = Filter(from_ms=_midnight_ms(since, time_zone), to_ms=_midnight_ms(until, time_zone))
        scope = _everything(found.id)
        progress = _Progress(await count(db, scope, wanted) if sys.stderr.isatty() else None)
        with _written(out) as file:
            async for lines in csv(db, scope, wanted, layout, progress.tell):
                file.write(lines)
        progress.end()

    run_with_database(config, work)


TELL_EVERY_S = 0.2


class _Progress:
    """A line on a terminal's standard error; nothing where `total` is None."""

    def __init__(self, total: int | None) -> None:
        self._total = total
        self._done = 0
        self._told_s = 0.0

    def tell(self, rows: int) -> None:
        self._done += rows
        if self._total is not None and time.monotonic() - self._told_s >= TELL_EVERY_S:
            self._told_s = time.monotonic()
            click.echo(f"\r{self._done:,} of {max(self._total, self._done):,} sessions", nl=False, err=True)

    def end(self) -> None:
        if self._total is not None:
            click.echo(f"\r{self._done:,} sessions, all of them{' ' * 12}", err=True)


@contextmanager
def _written(out: str) -> Iterator[BinaryIO]:
    """A file that takes its name when it is whole; one that broke off is not left behind."""
    if out == "-":
        yield sys.stdout.buffer
        return
    path = Path(out)
    if path.exists() and not path.is_file():  # a pipe or a device
        with path.open("wb") as device:
            yield device
        return
    part = path.with_name(f"{path.name}.part-{os.getpid()}")
    try:
        with part.open("xb") as file:
            yield file
        part.replace(path)
    except OSError as error:
        raise click.ClickException(f"{out} could not be written: {error.strerror or error}") from None
    finally:
        part.unlink(missing_ok=True)


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
