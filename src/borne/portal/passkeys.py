"""Passkeys at the door: asking a browser for one, and the login that its answer makes, instead of a password or after it.

A challenge is bound to the browser that asked for it, is over after minutes, and is spent by its first answer, right or wrong.
"""

from __future__ import annotations

import asyncio
import secrets
from functools import partial

from litestar import Response, post
from litestar.datastructures import Cookie
from litestar.enums import MediaType

from borne.engine import passkeys as engine
from borne.engine.passkeys import PasskeyRefusedError, RelyingParty
from borne.engine.rate_limit import network_of
from borne.portal import login, steps
from borne.portal.access import access_of
from borne.portal.errors import PageError
from borne.portal.forms import Form, text_of
from borne.portal.frame import Page, PageView
from borne.portal.security import local_path
from borne.portal.steps import Step
from borne.store import passkeys as store
from borne.store.db import Row

CHALLENGE_BYTES = 32
CHALLENGE_MINUTES = 5
CREDENTIAL_BOUND = 20_000  # characters of JSON


def party_of(page: PageView) -> RelyingParty | None:
    """Whom passkeys are for; None where the public address allows none."""
    return engine.relying_party(page.services.settings.public_url)


def refuse_the_hasty(page: PageView) -> None:
    """Raises PageError for an address with many failures."""
    wait_s = login.limits_of(page).address.wait_s(network_of(page.address))
    if wait_s:
        raise PageError(429, page._("Too many attempts from here. Wait a few minutes."), retry_after_s=wait_s)


async def ask(page: PageView, kind: steps.Kind, person_id: int | None) -> Response[str]:
    """Options for navigator.credentials.get: for the person's own passkeys, or for whichever the browser has."""
    party = party_of(page)
    if party is None:
        raise PageError(422, page._("Passkeys need an address with a name, such as http://localhost:8080."))
    limit, network = login.limits_of(page).challenge, network_of(page.address)
    if wait_s := limit.wait_s(network):
        raise PageError(429, page._("Too many attempts from here. Wait a few minutes."), retry_after_s=wait_s)
    limit.add(network)
    known = (
        [] if person_id is None else [row.credential_id for row in await store.of_person(page.services.db, person_id)]
    )
    challenge = secrets.token_bytes(CHALLENGE_BYTES)
    options = await asyncio.to_thread(partial(engine.request_options, party, known=known, challenge=challenge))
    return json_answer(options, await steps.begin(page, kind, CHALLENGE_MINUTES, person_id, challenge=challenge.hex()))


def json_answer(options: str, cookie: Cookie) -> Response[str]:
    return Response(options, media_type=MediaType.JSON, cookies=[cookie])


async def log_in(
    page: PageView, kind: steps.Kind, data: Form, person_id: int | None = None, also: steps.Kind | None = None
) -> Cookie | None:
    """The login of whoever answers this browser's challenge (of this person, if one is named); None: it is refused.

    `also`: another step that the login spends. A passkey verifies its user: it counts as a second factor.
    """
    refuse_the_hasty(page)
    async with page.services.db.transaction() as tx:
        step = await steps.take(tx, page, kind)
    try:
        row, sign_count = await _answered(page, step, text_of(data, "credential", CREDENTIAL_BOUND), person_id)
    except PasskeyRefusedError:
        login.limits_of(page).address.add(network_of(page.address))
        return None
    async with page.services.db.transaction() as tx:
        now_ms = page.services.clock.now_ms()
        if not await store.used(tx, row.credential_id, row.sign_count, sign_count, now_ms):
            return None
        if also is not None and await steps.take(tx, page, also) is None:
            return None
        cookie = await login.add_login(tx, page, row.person_id, second_factor=True)
    access_of(page.request).changed(row.person_id)
    return cookie


async def _answered(page: PageView, step: Step | None, credential: str, person_id: int | None) -> tuple[Row, int]:
    """The passkey that answered the step's challenge, and its new sign count."""
    party = party_of(page)
    if step is None or party is None or step.person_id != person_id:
        raise PasskeyRefusedError("no challenge")
    credential_id = await asyncio.to_thread(engine.credential_id_of, credential)
    row = await store.by_id(page.services.db, credential_id)
    if row is None or (person_id is not None and row.person_id != person_id):
        raise PasskeyRefusedError("unknown")
    check = partial(
        engine.verified_answer,
        party,
        credential,
        bytes.fromhex(step.payload["challenge"]),
        person_id=row.person_id,
        public_key=row.public_key,
        sign_count=row.sign_count,
    )
    return row, await asyncio.to_thread(check)


# ---- instead of a password


@post("/login/passkey/options", may="anyone", status_code=200)
async def options(page: Page) -> Response[str]:
    return await ask(page, "passkey_login", None)


@post("/login/passkey", may="anyone")
async def log_in_by_passkey(page: Page, data: Form) -> Response[str]:
    onward = local_path(text_of(data, "next", 2_000))
    cookie = await log_in(page, "passkey_login", data)
    if cookie is None:
        error = page._("That passkey was not accepted. Try again, or log in with your password.")
        return login.show_login(page, onward, 422, error=error)
    return page.go(onward, cookies=[cookie, steps.over(page, "passkey_login")])


ROUTES = [options, log_in_by_passkey]
