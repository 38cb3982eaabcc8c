"""Steps of a login, bound to the browser that began them: a cookie holds the token, `store.login_steps` its hash."""

from __future__ import annotations

import json
import secrets
from typing import Any, Literal

import msgspec
from litestar.datastructures import Cookie

from borne.portal.access import token_hash
from borne.portal.frame import PageView
from borne.portal.security import browser_cookie, cookie_name
from borne.store import login_steps
from borne.store.db import Transaction

# second: the password was right, a second factor is missing. The others: a challenge that a passkey shall answer.
Kind = Literal["second", "passkey_login", "passkey_second", "passkey_confirm", "passkey_add"]

MINUTE_MS = 60_000
TOKEN_BYTES = 32


class Step(msgspec.Struct, frozen=True):
    """`person_id`: whose step it is, None for somebody unknown yet."""

    token_hash: bytes
    person_id: int | None
    payload: dict[str, Any]


async def begin(page: PageView, kind: Kind, minutes: int, person_id: int | None = None, **payload: Any) -> Cookie:
    """Begin a step; the cookie that continues it."""
    token, now_ms, lifetime_ms = secrets.token_urlsafe(TOKEN_BYTES), page.services.clock.now_ms(), minutes * MINUTE_MS
    async with page.services.db.transaction() as tx:
        await login_steps.add(
            tx,
            token_hash(token),
            kind,
            person_id=person_id,
            payload=json.dumps(payload),
            now_ms=now_ms,
            expires_ms=now_ms + lifetime_ms,
        )
    return browser_cookie(page.services.settings, _cookie(page, kind), token, lifetime_ms // 1_000)


async def found(page: PageView, kind: Kind) -> Step | None:
    """The step that this browser is at; None when it began none, or it is over."""
    key = _key(page, kind)
    row = await login_steps.find(page.services.db, key, kind, page.services.clock.now_ms()) if key else None
    return None if key is None or row is None else Step(key, row.person_id, json.loads(row.payload))


async def take(tx: Transaction, page: PageView, kind: Kind) -> Step | None:
    """The same, and spend it: it works once."""
    key = _key(page, kind)
    row = await login_steps.take(tx, key, kind, page.services.clock.now_ms()) if key else None
    return None if key is None or row is None else Step(key, row.person_id, json.loads(row.payload))


def over(page: PageView, kind: Kind) -> Cookie:
    """The cookie that takes a step's cookie away."""
    return browser_cookie(page.services.settings, _cookie(page, kind), "", 0)


def _key(page: PageView, kind: Kind) -> bytes | None:
    token = page.request.cookies.get(_cookie(page, kind))
    return token_hash(token) if token else None


def _cookie(page: PageView, kind: Kind) -> str:
    return cookie_name(f"borne_{kind}", page.services.settings)
