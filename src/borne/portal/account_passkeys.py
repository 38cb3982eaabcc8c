"""The passkeys of an account: a list, adding one with the browser's help, removing one."""

from __future__ import annotations

import asyncio
import secrets
from functools import partial

from litestar import Response, get, post
from litestar.exceptions import NotFoundException

from borne.engine import passkeys as engine
from borne.engine.passkeys import NewPasskey, PasskeyRefusedError
from borne.portal import passkeys, steps
from borne.portal.access import access_of
from borne.portal.account_security import changed, factor_added, factor_removed, show_codes
from borne.portal.agents import describe_agent
from borne.portal.confirm import must_be_fresh
from borne.portal.errors import PageError
from borne.portal.forms import Form, text_of
from borne.portal.frame import Page, PageView
from borne.portal.language import N_
from borne.store import passkeys as store
from borne.store.db import Conflict

PATH = "/account/passkeys"
MOST = 20
NAME_BOUND = 60
ID_BOUND = 1_023  # bytes of a credential's id, as the standard says


@get(PATH, may="person")
async def passkeys_page(page: Page) -> Response[str]:
    must_be_fresh(page, PATH)
    return await _show(page)


async def _show(page: PageView, status_code: int = 200, problem: str = "", name: str = "") -> Response[str]:
    return page.show(
        "account/passkeys.html",
        status_code,
        rows=await store.of_person(page.services.db, page.person.person_id),
        offers_passkeys=passkeys.party_of(page) is not None,
        problem=problem,
        name=name or describe_agent(page.request.headers.get("user-agent", "")),
        most=MOST,
        name_bound=NAME_BOUND,
    )


@post("/account/passkeys/options", may="person", status_code=200)
async def creation_options(page: Page) -> Response[str]:
    """What the browser is to make."""
    must_be_fresh(page, PATH)
    visitor, party = page.person, passkeys.party_of(page)
    known = [row.credential_id for row in await store.of_person(page.services.db, visitor.person_id)]
    if party is None or len(known) >= MOST:
        raise PageError(422, page._("No passkey can be added here."))
    challenge = secrets.token_bytes(passkeys.CHALLENGE_BYTES)
    make = partial(
        engine.creation_options,
        party,
        person_id=visitor.person_id,
        email=visitor.email,
        name=visitor.name,
        known=known,
        challenge=challenge,
    )
    options = await asyncio.to_thread(make)
    minutes = passkeys.CHALLENGE_MINUTES
    cookie = await steps.begin(page, "passkey_add", minutes, visitor.person_id, challenge=challenge.hex())
    return passkeys.json_answer(options, cookie)


@post(PATH, may="person", status_code=200)
async def add(page: Page, data: Form) -> Response[str]:
    must_be_fresh(page, PATH)
    person_id, name = page.person.person_id, text_of(data, "name", NAME_BOUND)
    made = await _made(page, text_of(data, "credential", passkeys.CREDENTIAL_BOUND))
    if made is None:
        return await _show(page, 422, page._("That passkey was not accepted. Try again."), name)
    name = name or describe_agent(page.request.headers.get("user-agent", ""))
    try:
        async with page.services.db.transaction() as tx:
            await store.add(
                tx,
                person_id,
                credential_id=made.credential_id,
                public_key=made.public_key,
                sign_count=made.sign_count,
                name=name,
                now_ms=page.services.clock.now_ms(),
            )
            cookie, codes = await factor_added(page, tx)
            await changed(tx, page, "person.passkey_added", N_("A passkey was added to your account."), passkey=name)
    except Conflict:
        return await _show(page, 422, page._("This passkey is known already."), name)
    access_of(page.request).changed(person_id)
    say = page._("The passkey is added. You can log in with it, without your password.")
    return show_codes(page, codes, say, cookie) if codes else page.go(PATH, toast=say, cookies=[cookie])


async def _made(page: PageView, credential: str) -> NewPasskey | None:
    """What the browser made for its challenge, which is spent; None when that proves nothing."""
    party = passkeys.party_of(page)
    async with page.services.db.transaction() as tx:
        step = await steps.take(tx, page, "passkey_add")
    if step is None or party is None or step.person_id != page.person.person_id:
        return None
    challenge = bytes.fromhex(step.payload["challenge"])
    try:
        return await asyncio.to_thread(engine.verified_creation, party, credential, challenge)
    except PasskeyRefusedError:
        return None


@post("/account/passkeys/remove", may="person")
async def remove(page: Page, data: Form) -> Response[str]:
    must_be_fresh(page, PATH)
    person_id, named = page.person.person_id, text_of(data, "passkey", 2 * ID_BOUND)
    try:
        credential_id = bytes.fromhex(named)
    except ValueError:
        raise NotFoundException from None
    async with page.services.db.transaction() as tx:
        if not await store.remove(tx, person_id, credential_id):
            raise NotFoundException
        cookie = await factor_removed(page, tx)
        await changed(tx, page, "person.passkey_removed", N_("A passkey was removed: a second factor less."))
    access_of(page.request).changed(person_id)
    return page.go(PATH, toast=page._("The passkey is removed. Every other browser is logged out."), cookies=[cookie])


ROUTES = [passkeys_page, creation_options, add, remove]
