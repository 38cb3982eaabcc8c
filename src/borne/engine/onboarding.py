"""Adding chargers, and what people change of them: one place for the portal, the command line and the API."""

from __future__ import annotations

import re
import secrets

import msgspec

from borne.bus.port import Bus, Hint
from borne.core.actor import Actor
from borne.core.models import MODELS
from borne.engine.apply import Engine
from borne.engine.audit import About, Audit
from borne.engine.moving import moved
from borne.engine.outcome import IGNORED, OK, Outcome
from borne.engine.room import Room
from borne.engine.writes import Writes
from borne.store import chargers as store
from borne.store import events
from borne.store.chargers import Description, NewCharger, UnknownLocationError
from borne.store.db import Conflict, Database, Row, Transaction
from borne.store.secrets import hash_secret, new_secret

# Typed on a phone beside the charger: capitals and digits without look-alikes, in two groups. 31^8 of them.
IDENTITY_ALPHABET = "ABCDEFGHJKMNPQRSTUVWXYZ23456789"
IDENTITY_GROUP = 4
IDENTITY_TRIES = 5
IDENTITY = re.compile(r"[A-Za-z0-9_=:+|@.-]{1,48}")  # OCPP 2.0.1 identifierString, 48 characters


class Added(msgspec.Struct, frozen=True):
    """A new charger, with the only copy of its password."""

    charger_id: int
    identity: str
    password: str


class IdentityTakenError(ValueError):
    """Another charger of this installation has the identity."""


def new_identity() -> str:
    """A random identity like K7QM-3XWA."""
    letters = [secrets.choice(IDENTITY_ALPHABET) for _ in range(2 * IDENTITY_GROUP)]
    return "".join(letters[:IDENTITY_GROUP]) + "-" + "".join(letters[IDENTITY_GROUP:])


def charger_url(gateway_url: str, identity: str, secret: str | None = None) -> str:
    """The address to type into a charger; with the secret in it for one that can send no password."""
    return "/".join((gateway_url.rstrip("/"), *((secret,) if secret else ()), identity))


async def add_charger(
    db: Database,
    bus: Bus,
    key: bytes,
    *,
    audit: Audit,
    by: Actor,
    organisation_id: int,
    location_id: int,
    name: str,
    now_ms: int,
    serial: str = "",
    model: str = "other",
    vendor: str = "",
    model_name: str = "",
    identity: str | None = None,
    password: str | None = None,
) -> Added:
    """Add a charger; identity and password are made up unless given. Without a name it is called by its serial, or identity.

    Raises IdentityTakenError, UnknownLocationError, and ValueError for a model or an identity that cannot be.
    """
    if model not in MODELS:
        raise ValueError(f"no model {model!r} in the catalogue")
    if identity is not None and not IDENTITY.fullmatch(identity):
        raise ValueError("an identity has 1 to 48 letters, digits or one of _=:+|@.-")
    password = password or new_secret()
    for left in range(IDENTITY_TRIES if identity is None else 1, 0, -1):
        known_as = identity or new_identity()
        new = NewCharger(
            organisation_id=organisation_id,
            location_id=location_id,
            name=name or serial or known_as,
            identity=known_as,
            secret_hash=hash_secret(key, password),
            serial=serial,
            model=model,
            vendor=vendor,
            model_name=model_name,
        )
        try:
            async with db.transaction() as tx:
                charger_id = await store.create(tx, new, now_ms)
                await note(tx, charger_id, now_ms, "added", by)
                about = About(kind="charger", id=charger_id, name=new.name)
                await audit.record(tx, by, "charger.added", about, organisation_id=organisation_id, identity=known_as)
        except Conflict:
            if left == 1:
                raise IdentityTakenError(f"the identity {new.identity} is taken") from None
            continue
        tell(bus, charger_id, organisation_id, location_id)
        return Added(charger_id, new.identity, password)
    raise AssertionError("unreachable: the last try returns or raises")


async def new_password(
    db: Database, bus: Bus, key: bytes, *, audit: Audit, by: Actor, organisation_id: int, charger_id: int, now_ms: int
) -> str | None:
    """Replace the password; the old one stops working at once. Returns the only copy, None for no such charger."""
    password = new_secret()
    async with db.transaction() as tx:
        if not await store.set_secret(tx, organisation_id, charger_id, hash_secret(key, password), now_ms):
            return None
        await note(tx, charger_id, now_ms, "secret_changed", by)
        about = await about_charger(tx, organisation_id, charger_id)
        await audit.record(tx, by, "charger.password_changed", about, organisation_id=organisation_id)
    tell(bus, charger_id, organisation_id)
    return password


async def describe(
    engine: Engine, *, audit: Audit, by: Actor, organisation_id: int, charger_id: int, what: Description
) -> bool:
    """Change name, serial, model or location, in the charger's turn. False: no such charger. Raises UnknownLocationError."""
    before_id: int | None = None
    unknown: UnknownLocationError | None = None

    async def prepare(tx: Transaction, room: Room, writes: Writes) -> Outcome:
        nonlocal before_id, unknown
        row = await store.by_id(tx, organisation_id, charger_id)
        if row is None:
            return IGNORED
        new = msgspec.structs.replace(what, name=what.name or what.serial or row.identity)
        try:
            await redescribe(tx, room, writes, audit, by, row, new, engine.clock.now_ms())
        except UnknownLocationError as error:  # nothing is written yet: the others in the group need not suffer
            unknown = error
            return IGNORED
        before_id = row.location_id
        return OK

    ignored = (await engine.prepare(charger_id, prepare)).ignored
    if unknown is not None:
        raise unknown
    if ignored:
        return False
    engine.forget(charger_id)
    tell(engine.bus, charger_id, organisation_id, before_id or 0)
    if what.location_id != before_id:
        engine.bus.publish(Hint("charger", charger_id, organisation_id, what.location_id, charger_id))
    return True


async def redescribe(
    tx: Transaction, room: Room, writes: Writes, audit: Audit, by: Actor, row: Row, what: Description, now_ms: int
) -> None:
    """Change what people say of a charger (`row`: all its columns so far), with its lines of history.

    Raises UnknownLocationError, before anything is written.
    """
    await store.describe(tx, row.organisation_id, row.id, what, now_ms)
    room.model = what.model
    before, after = await _changes(tx, row.organisation_id, row, what)
    if what.location_id != row.location_id:
        await moved(tx, room, writes, what.location_id, now_ms)
        await note(tx, row.id, now_ms, "moved", by, text=f"{before['location']} → {after['location']}")
    if set(after) - {"location"} or not after:
        await note(tx, row.id, now_ms, "edited", by)
    about = About(kind="charger", id=row.id, name=what.name)
    writes.record_last(
        audit, by, "charger.changed", about, organisation_id=row.organisation_id, before=before, after=after
    )


async def _changes(
    tx: Transaction, organisation_id: int, row: Row, what: Description
) -> tuple[dict[str, str], dict[str, str]]:
    """What differs, before and after; locations by their names."""
    before: dict[str, str] = {}
    after: dict[str, str] = {}
    for name, value in msgspec.structs.asdict(what).items():
        old = getattr(row, name)
        if name == "location_id" and old != value:
            before["location"] = await store.location_name(tx, organisation_id, old)
            after["location"] = await store.location_name(tx, organisation_id, value)
        elif old != value:
            before[name], after[name] = old, value
    return before, after


async def set_disabled(
    db: Database,
    bus: Bus,
    *,
    audit: Audit,
    by: Actor,
    organisation_id: int,
    charger_id: int,
    disabled: bool,
    now_ms: int,
) -> bool:
    """Refuse a charger's links from now on, or take them again. False: no such charger."""
    word = "disabled" if disabled else "enabled"
    async with db.transaction() as tx:
        if not await store.set_disabled(tx, organisation_id, charger_id, disabled, now_ms):
            return False
        await note(tx, charger_id, now_ms, word, by)
        about = await about_charger(tx, organisation_id, charger_id)
        action = "charger.disabled" if disabled else "charger.enabled"
        await audit.record(tx, by, action, about, organisation_id=organisation_id)
    tell(bus, charger_id, organisation_id)
    return True


async def about_charger(tx: Transaction, organisation_id: int, charger_id: int) -> About:
    """The charger as the audit log names it."""
    row = await store.by_id(tx, organisation_id, charger_id)
    return About(kind="charger", id=charger_id, name="" if row is None else row.name)


async def note(tx: Transaction, charger_id: int, now_ms: int, kind: str, by: Actor, *, text: str = "") -> None:
    """A line of the charger's timeline about what somebody did."""
    more = {"text": text} if text else {}
    details = msgspec.json.encode({"by": by.name, "by_id": by.person_id, **more}).decode()
    await events.add_many(tx, [(charger_id, now_ms, kind, details)])


def tell(bus: Bus, charger_id: int, organisation_id: int, location_id: int = 0) -> None:
    """The gateway looks at its directory again, the pages at the charger."""
    bus.publish(Hint("directory", charger_id, organisation_id, location_id, charger_id))
    bus.publish(Hint("charger", charger_id, organisation_id, location_id, charger_id))
