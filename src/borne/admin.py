"""`borne admin`: what an installation's owner does from a shell, beside a running server."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from borne import settings as settings_module
from borne.core.actor import SHELL
from borne.core.models import MODELS
from borne.core.plans import PLANS
from borne.settings import RunningDemo, Settings

if TYPE_CHECKING:
    from borne.engine.audit import Audit
    from borne.store.db import Database, Row, Transaction

ROLES = ("super-admin", "admin", "operator", "user")


@click.group()
def admin() -> None:
    """Make organisations, people and chargers. Works beside a running server."""


def with_config(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--config", "config", envvar="BORNE_CONFIG", type=click.Path(dir_okay=False), help="Settings file (TOML)."
    )(command)


def _settings(config: str | None) -> Settings:
    """The settings named, or those of the demo that runs from this folder, or the usual ones."""
    running = None if config or "BORNE_DATABASE_URL" in os.environ else RunningDemo.find()
    if running is None:
        return settings_module.load(config)
    click.echo("borne: this works on the demo that runs here", err=True)
    return running.settings


def run_with_database(config: str | None, work: Callable[[Database, Settings], Awaitable[None]]) -> None:
    """Open the database of the settings, do the work, say what went wrong in one line."""
    from borne.store.db import StoreError
    from borne.store.migrate import migrate

    try:
        loaded = _settings(config)
    except settings_module.SettingsError as error:
        raise click.UsageError(str(error)) from None
    try:
        migrate(loaded.database, say=lambda sentence: click.echo(sentence, err=True))
        asyncio.run(_work(loaded, work))
    except (StoreError, ValueError, LookupError) as error:
        raise click.ClickException(str(error)) from None


async def _work(loaded: Settings, work: Callable[[Database, Settings], Awaitable[None]]) -> None:
    async with open_database(loaded.database) as db:
        await work(db, loaded)


@asynccontextmanager
async def open_database(url: str) -> AsyncIterator[Database]:
    """A database, open inside the block."""
    from borne.store.db import create_database

    db = create_database(url)
    await db.open()
    try:
        yield db
    finally:
        await db.close()


async def organisation_named(db: Database, name: str | None) -> Row:
    """The organisation of that name; without one the first that was made. Raises LookupError with a sentence."""
    from borne.store import organisations

    found = await (organisations.by_name(db, name) if name else organisations.first(db))
    if found is None:
        raise LookupError(f"there is no organisation named {name!r}" if name else "there is no organisation yet")
    return found


async def location_named(db: Database, organisation_id: int, name: str | None) -> int:
    """The id of the location of that name; without one the first. Raises LookupError with a sentence."""
    from borne.store import organisations

    rows = await organisations.locations_of(db, organisation_id)
    for row in sorted(rows, key=lambda row: int(row.id)):
        if name is None or row.name == name:
            return int(row.id)
    raise LookupError(
        f"the organisation has no location named {name!r}" if name else "the organisation has no location"
    )


@admin.command("create-organisation")
@click.option("--name", required=True)
@click.option("--plan", type=click.Choice(list(PLANS)), help="By default the settings' default_plan.")
@click.option("--location", default="Main location", show_default=True, help="Its first location.")
@click.option("--time-zone", default="UTC", show_default=True, help="Of that location (IANA name).")
@with_config
def create_organisation(name: str, plan: str | None, location: str, time_zone: str, config: str | None) -> None:
    """Make an organisation with one location."""

    async def work(db: Database, loaded: Settings) -> None:
        from borne.store import organisations

        now_ms = _now_ms()
        async with db.transaction() as tx:
            made = await organisations.create(tx, name=name, plan=plan or loaded.default_plan, now_ms=now_ms)
            await organisations.create_location(tx, made, name=location, now_ms=now_ms, time_zone=time_zone)
            await _record(tx, loaded, "organisation.created", "organisation", made, name, made)
        click.echo(f"organisation {made}: {name}")

    run_with_database(config, work)


@admin.command("set-plan")
@click.argument("plan", type=click.Choice(list(PLANS)))
@click.option("--organisation", help="By default the first one made.")
@with_config
def set_plan(plan: str, organisation: str | None, config: str | None) -> None:
    """Put an organisation on a plan, at once, whether it is a larger one or a smaller."""

    async def work(db: Database, loaded: Settings) -> None:
        from borne.core.actor import SHELL
        from borne.engine.audit import Audit
        from borne.engine.clock import Clock
        from borne.engine.plans import set_at_once
        from borne.store.keys import key_from

        owner, clock = await organisation_named(db, organisation), Clock()
        audit = Audit(key_from(Path(loaded.data_folder), "audit"), clock)
        async with db.transaction() as tx:
            is_new = await set_at_once(tx, audit, SHELL, owner.id, plan, clock.now_ms())
        click.echo(f"{owner.name} is on {PLANS[plan].name}" + ("" if is_new else " already"))

    run_with_database(config, work)


@admin.command("create-user")
@click.option("--email", required=True)
@click.option("--name", help="By default the part of the e-mail before the @.")
@click.option("--password", help="By default one is made and printed.")
@click.option("--role", type=click.Choice(ROLES), default="user", show_default=True)
@click.option("--organisation", help="By default the first one made.")
@click.option("--location", "locations", multiple=True, help="Locations of an admin or operator; may be repeated.")
@click.option("--language", type=click.Choice(["en", "fr"]), help="By default as the browser asks.")
@click.option("--operates-installation", is_flag=True, help="Sees refused connections and the outbox.")
@with_config
def create_user(config: str | None, **options: Any) -> None:
    """Make a person's account in an organisation."""

    async def work(db: Database, loaded: Settings) -> None:
        organisation = await organisation_named(db, options["organisation"])
        location_ids = [await location_named(db, organisation.id, name) for name in options["locations"]]
        password = options["password"] or secrets.token_urlsafe(12)
        person_id = await make_person(db, loaded, organisation.id, location_ids, password, options)
        click.echo(f"user {person_id}: {options['email']} ({options['role']} of {organisation.name})")
        if not options["password"]:
            click.echo(f"password: {password}")

    run_with_database(config, work)


async def make_person(
    db: Database,
    loaded: Settings,
    organisation_id: int,
    location_ids: list[int],
    password: str,
    options: dict[str, Any],
) -> int:
    """Make an account and its membership; `options` as those of create-user. Raises ValueError with a sentence."""
    from borne.engine.passwords import SHORTEST, Passwords, is_acceptable
    from borne.store import people
    from borne.store.db import Conflict

    email = options["email"].strip().casefold()
    if "@" not in email:
        raise ValueError(f"{email!r} is no e-mail address")
    if not is_acceptable(password):
        raise ValueError(f"a password has at least {SHORTEST} characters")
    passwords = Passwords()
    password_hash = await passwords.hash(password)
    try:
        async with db.transaction() as tx:
            person_id = await people.add_person(
                tx,
                email=email,
                name=options.get("name") or email.partition("@")[0],
                password_hash=password_hash,
                language=options.get("language"),
                operates_installation=bool(options.get("operates_installation")),
                now_ms=_now_ms(),
            )
            await people.add_membership(tx, person_id=person_id, organisation_id=organisation_id, role=options["role"])
            await people.set_locations(
                tx, person_id=person_id, organisation_id=organisation_id, location_ids=location_ids
            )
            role = options["role"]
            await _record(tx, loaded, "person.created", "person", person_id, email, organisation_id, role=role)
    except Conflict:
        raise ValueError(f"{email} has an account already") from None
    return person_id


@admin.command("add-charger")
@click.option("--name", required=True)
@click.option("--model", type=click.Choice(list(MODELS)), default="other", show_default=True)
@click.option("--serial", default="")
@click.option("--organisation", help="By default the first one made.")
@click.option("--location", help="By default the organisation's first one.")
@click.option("--identity", help="By default one is made.")
@click.option("--json", "as_json", is_flag=True, help="Print identity, password and url as JSON.")
@with_config
def add_charger(as_json: bool, config: str | None, **options: Any) -> None:
    """Add a charger; prints what to type into it, once."""

    async def work(db: Database, loaded: Settings) -> None:
        from borne.bus.memory import MemoryBus
        from borne.engine.onboarding import add_charger as add
        from borne.engine.onboarding import charger_url
        from borne.store.keys import key_from

        organisation = await organisation_named(db, options["organisation"])
        location_id = await location_named(db, organisation.id, options["location"])
        added = await add(
            db,
            MemoryBus(),
            key_from(Path(loaded.data_folder), "chargers"),
            organisation_id=organisation.id,
            location_id=location_id,
            name=options["name"],
            serial=options["serial"],
            model=options["model"],
            identity=options["identity"],
            now_ms=_now_ms(),
            audit=_audit(loaded),
            by=SHELL,
        )
        url = charger_url(loaded.gateway_url, added.identity)
        if as_json:
            click.echo(json.dumps({"identity": added.identity, "password": added.password, "url": url}))
        else:
            click.echo(f"identity: {added.identity}\npassword: {added.password}\nurl:      {url}")

    run_with_database(config, work)


@admin.command("add-chargers")
@click.option("--count", type=click.IntRange(1, 200_000), required=True)
@click.option("--prefix", default="CH", show_default=True, help="Of names and identities.")
@click.option("--model", type=click.Choice(list(MODELS)), default="other", show_default=True)
@click.option("--organisation", help="By default the first one made.")
@click.option("--location", help="By default the organisation's first one.")
@click.option(
    "--json",
    "file",
    type=click.Path(dir_okay=False, writable=True),
    required=True,
    help="Where what to type is written.",
)
@with_config
def add_chargers(
    count: int, prefix: str, model: str, organisation: str | None, location: str | None, file: str, config: str | None
) -> None:
    """Add many chargers at once; identities, passwords and urls go to a JSON file that only you may read."""

    async def work(db: Database, loaded: Settings) -> None:
        from borne.engine.onboarding import charger_url
        from borne.store import chargers
        from borne.store.chargers import NewCharger
        from borne.store.keys import key_from
        from borne.store.secrets import hash_secret, new_secret

        key = key_from(Path(loaded.data_folder), "chargers")
        owner = await organisation_named(db, organisation)
        location_id = await location_named(db, owner.id, location)
        names = [f"{prefix}-{number:06d}" for number in range(1, count + 1)]
        passwords = [new_secret() for _ in names]
        new = (
            NewCharger(
                organisation_id=owner.id,
                location_id=location_id,
                name=name,
                identity=name,
                secret_hash=hash_secret(key, password),
                model=model,
            )
            for name, password in zip(names, passwords, strict=True)
        )
        async with db.transaction() as tx:
            await chargers.create_many(tx, new, _now_ms())
            about = f"{names[0]} … {names[-1]}"
            await _record(tx, loaded, "charger.many_added", "organisation", owner.id, about, owner.id, count=count)
        rows = [
            {"identity": name, "password": password, "url": charger_url(loaded.gateway_url, name)}
            for name, password in zip(names, passwords, strict=True)
        ]
        path = Path(file)
        path.touch(mode=0o600)
        path.write_text(json.dumps(rows), encoding="utf-8")
        click.echo(f"{count} chargers; what to type is in {file}")

    run_with_database(config, work)


@admin.command("add-tag")
@click.option("--tag", required=True, help="As the charger reads it (RFID number).")
@click.option("--name", default="", help="Whose it is.")
@click.option("--blocked", is_flag=True, help="Known, and refused.")
@click.option("--organisation", help="By default the first one made.")
@with_config
def add_tag(tag: str, name: str, blocked: bool, organisation: str | None, config: str | None) -> None:
    """Let a tag charge at an organisation's chargers, or block it."""

    async def work(db: Database, loaded: Settings) -> None:
        from borne.store import tags

        owner = await organisation_named(db, organisation)
        async with db.transaction() as tx:
            await tags.put(tx, owner.id, tag, name=name, blocked=blocked)
            await _record(tx, loaded, "tag.changed", "tag", None, tag, owner.id, label=name, blocked=blocked)
        click.echo(f"{tag} is {'blocked' if blocked else 'accepted'} at {owner.name}")

    run_with_database(config, work)


@admin.command("unknown-tags")
@click.argument("answer", type=click.Choice(["accept", "refuse"]))
@click.option("--organisation", help="By default the first one made.")
@click.option("--location", help="By default the organisation's first one.")
@with_config
def unknown_tags(answer: str, organisation: str | None, location: str | None, config: str | None) -> None:
    """Say whether tags that the organisation does not know may charge at a location."""

    async def work(db: Database, loaded: Settings) -> None:
        from borne.store import organisations

        owner = await organisation_named(db, organisation)
        location_id = await location_named(db, owner.id, location)
        async with db.transaction() as tx:
            await organisations.accept_unknown_tags(tx, owner.id, location_id, answer == "accept")
            await _record(tx, loaded, "location.unknown_tags", "location", location_id, answer, owner.id)
        click.echo(f"unknown tags: {answer}")

    run_with_database(config, work)


@admin.command("outbox")
@click.option("--count", type=click.IntRange(1, 500), default=10, show_default=True)
@with_config
def outbox(count: int, config: str | None) -> None:
    """Show the newest mails of the embedded outbox."""

    async def work(db: Database, loaded: Settings) -> None:
        from borne.store import mails

        for row in reversed(await mails.newest(db, count)):
            click.echo(f"to {row.recipient}: {row.subject}\n\n{row.body}\n{'-' * 60}")

    run_with_database(config, work)


@admin.command("dead-letters")
@click.option("--count", type=click.IntRange(1, 500), default=10, show_default=True)
@with_config
def dead_letters(count: int, config: str | None) -> None:
    """Show the newest facts that could not be applied, and why."""

    async def work(db: Database, loaded: Settings) -> None:
        from borne.store import events

        for row in reversed(await events.newest_dead_letters(db, count)):
            click.echo(f"charger {row.charger_id}: {row.error}\n{row.fact}\n{'-' * 60}")

    run_with_database(config, work)


@admin.command("verify-audit")
@click.option("--head", help="A head that was noted before, as this command prints it (number:hash).")
@click.option("--accept", is_flag=True, help="After restoring a backup: go on from where the restored database ends.")
@with_config
def verify_audit(head: str | None, accept: bool, config: str | None) -> None:
    """Say whether the audit log is as it was written. Exit status 1: it is not."""

    async def work(db: Database, loaded: Settings) -> None:
        from borne.engine.audit_command import accept_restored, noted_head, verified

        if accept:
            await accept_restored(db, _audit(loaded), Path(loaded.data_folder), _now_ms())
        click.echo(await verified(db, _audit(loaded), Path(loaded.data_folder), _now_ms(), noted_head(head)))

    run_with_database(config, work)


@admin.command("verify-statistics")
@click.option("--organisation", help="By default all of them.")
@with_config
def verify_statistics(organisation: str | None, config: str | None) -> None:
    """Say whether the sums of statistics are those of the sessions. Exit status 1: some are not, and which."""

    async def work(db: Database, loaded: Settings) -> None:
        from borne.engine.statistics_command import verified
        from borne.store import retention

        named = None if organisation is None else await organisation_named(db, organisation)
        kept, differ = loaded.retention, 0
        for one in await retention.organisation_ids(db) if named is None else [named.id]:
            lines, is_wrong = await verified(db, one, kept.slots_days, kept.day_sums_days, _now_ms())
            click.echo("\n".join(lines))
            differ += is_wrong
        if differ:
            raise ValueError("statistics are not those of the sessions")

    run_with_database(config, work)


def _audit(loaded: Settings) -> Audit:
    """Writes audit rows, with the installation's key."""
    from borne.engine.audit import Audit
    from borne.engine.clock import Clock
    from borne.store.keys import key_from

    return Audit(key_from(Path(loaded.data_folder), "audit"), Clock())


async def _record(
    tx: Transaction,
    loaded: Settings,
    action: str,
    kind: str,
    id: int | None,
    name: str,
    organisation_id: int,
    **details: object,
) -> None:
    """An audit row of what this shell did; last in its transaction."""
    from borne.engine.audit import About

    about = About(kind=kind, id=id, name=name, person_id=id if kind == "person" else None)
    await _audit(loaded).record(tx, SHELL, action, about, organisation_id=organisation_id, **details)


def _now_ms() -> int:
    from borne.engine.clock import Clock

    return Clock().now_ms()
