"""Who a program speaks for: tokens and app passwords, made once, looked up by their hash at each request."""

from __future__ import annotations

import hashlib
import logging
import secrets

import msgspec

from borne.core.api_scopes import ApiScope, known_scopes
from borne.core.scope import Scope
from borne.engine.clock import NowMs
from borne.engine.visitors import Organisation, scope_in
from borne.store import tokens as store
from borne.store.db import Database, Row
from borne.store.tokens import Kind

log = logging.getLogger(__name__)

PREFIX = "borne_"  # so that scanners of published code know it
TOKEN_BYTES = 32
ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"
GROUPS, GROUP = 4, 5  # of an app password: 20 signs are 99 random bits
USED_EVERY_MS = 60_000


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """A program that signed in. `scope`: what its person reaches now; `scopes`: what of that it may."""

    token_id: int
    token_name: str
    email: str
    organisation_name: str
    scope: Scope
    scopes: tuple[ApiScope, ...]
    expires_ms: int | None


class SecondFactorMissingError(Exception):
    """The organisation requires a second factor, and the person has none: their programs wait too."""


def new_token() -> str:
    return PREFIX + secrets.token_urlsafe(TOKEN_BYTES)


def new_app_password() -> str:
    """`abcde-fghjk-mnpqr-stuvw`."""
    return "-".join("".join(secrets.choice(ALPHABET) for _ in range(GROUP)) for _ in range(GROUPS))


def hash_of(kind: Kind, secret: str) -> bytes:
    """What the database knows it by. The secret is random, so that no slow hash is needed."""
    plain = secret.strip().casefold().replace("-", "") if kind == "password" else secret
    return hashlib.sha256(f"{kind} {plain}".encode("utf-8", "replace")).digest()


async def caller_of(
    db: Database, clock: NowMs, kind: Kind, secret: str, address: str, email: str = ""
) -> Caller | None:
    """Whose token or app password this is (of the person with this e-mail); None for nobody's.

    Raises SecondFactorMissingError.
    """
    now_ms = clock.now_ms()
    row = await store.by_hash(db, hash_of(kind, secret), kind, now_ms)
    if row is None or (kind == "password" and row.email != email.strip().casefold()):
        return None
    if row.requires_second_factor and not row.has_second_factor:
        raise SecondFactorMissingError
    if row.used_ms is None or now_ms - row.used_ms >= USED_EVERY_MS or row.used_address != address:
        await _note_use(db, row, now_ms, address)
    organisation = Organisation(row.organisation_id, row.organisation_name, row.role, row.plan)
    return Caller(
        token_id=row.id,
        token_name=row.name,
        email=row.email,
        organisation_name=row.organisation_name,
        scope=await scope_in(db, row.person_id, row.person_name, organisation),
        scopes=known_scopes(msgspec.json.decode(row.scopes, type=list[str])),
        expires_ms=_earliest(row),
    )


def _earliest(row: Row) -> int | None:
    """When it stops working: at its own end, or that of the membership."""
    return min((end for end in (row.expires_ms, row.membership_expires_ms) if end is not None), default=None)


async def _note_use(db: Database, row: Row, now_ms: int, address: str) -> None:
    """A database that cannot write now must not keep programs from reading."""
    try:
        async with db.transaction() as tx:
            await store.used(tx, row.organisation_id, row.id, now_ms, address)
    except Exception:
        log.exception("the use of a token could not be noted")
