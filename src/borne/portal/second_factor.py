"""The second page of a login: a code of an authenticator app, a passkey, or a recovery code. There is no login before it."""

from __future__ import annotations

import msgspec
from litestar import Response, get, post
from litestar.datastructures import Cookie

from borne.engine.rate_limit import network_of
from borne.engine.second_factor import recovery_hash, step_of
from borne.portal import account_mail, passkeys, steps
from borne.portal.access import access_of
from borne.portal.audit_trail import record_failed_login, record_of_person
from borne.portal.errors import PageError
from borne.portal.forms import Form, text_of
from borne.portal.frame import Page, PageView
from borne.portal.language import N_
from borne.portal.login import Through, add_login, limits_of
from borne.portal.steps import Step
from borne.store import passkeys as passkey_store
from borne.store import second_factor as store
from borne.store.db import Transaction

CODE_BOUND = 40
WARN_AT = 5  # wrong codes in a row of time, after a right password: the person hears of it
DAY_MS = 86_400_000


@get("/login/second", may="anyone")
async def second_page(page: Page) -> Response[str]:
    step = await steps.found(page, "second")
    return _start_again(page) if step is None else await _show(page, step)


async def _show(page: PageView, step: Step, status_code: int = 200, **errors: str) -> Response[str]:
    assert step.person_id is not None
    db = page.services.db
    totp = await store.totp_of(db, step.person_id)
    has_passkeys = bool(await passkey_store.of_person(db, step.person_id))
    return page.show(
        "second.html",
        status_code,
        has_totp=totp is not None and totp.totp_secret is not None,
        has_passkeys=has_passkeys and passkeys.party_of(page) is not None,
        **({"code_error": "", "recovery_error": "", "problem": ""} | errors),
    )


def _start_again(page: PageView) -> Response[str]:
    return page.go(
        "/login",
        toast=page._("That took too long, or was done already. Log in again."),
        cookies=[steps.over(page, "second")],
    )


@post("/login/second", may="anyone")
async def second(page: Page, data: Form) -> Response[str]:
    """A code of the app, or a recovery code: whichever field is filled in."""
    step = await steps.found(page, "second")
    if step is None or step.person_id is None:
        return _start_again(page)
    if recovery := text_of(data, "recovery", CODE_BOUND):
        return await _by_recovery_code(page, step, step.person_id, recovery)
    return await _by_code(page, step, step.person_id, text_of(data, "code", CODE_BOUND))


async def _by_code(page: PageView, step: Step, person_id: int, code: str) -> Response[str]:
    limits = limits_of(page)
    if wait_s := limits.code_wait_s(page.address, person_id):
        raise PageError(429, _wait_words(page), retry_after_s=wait_s)
    tried = limits.code_tried(page.address, person_id)
    totp = await store.totp_of(page.services.db, person_id)
    secret = page.services.box.open(totp.totp_secret) if totp is not None and totp.totp_secret is not None else None
    time_step = step_of(secret, code, page.services.clock.now_ms()) if secret else None
    if time_step is None:
        await record_failed_login(page, person_id)
        if tried == WARN_AT:
            await _warn(page, person_id)
        return await _show(page, step, 422, code_error=page._("This is not the code of this moment."))
    async with page.services.db.transaction() as tx:
        is_new = await store.use_step(tx, person_id, time_step)
        cookie = await _pass(tx, page, person_id) if is_new else None
    if not is_new:
        return await _show(page, step, 422, code_error=page._("This code was used before. Wait for the next one."))
    limits.code_fitted(page.address, person_id)
    return _done(page, step, cookie)


async def _by_recovery_code(page: PageView, step: Step, person_id: int, code: str) -> Response[str]:
    """Recovery codes cannot be guessed: only the address is slowed down, so that nobody is shut out of them."""
    passkeys.refuse_the_hasty(page)
    now_ms = page.services.clock.now_ms()
    cookie = None
    async with page.services.db.transaction() as tx:
        fits = await store.use_code(tx, person_id, recovery_hash(code), now_ms)
        if fits and (cookie := await _pass(tx, page, person_id)) is not None:
            left = await store.codes_left(tx, person_id)
            await account_mail.write(tx, page, person_id, N_("A recovery code was used to log in."))
            await record_of_person(page, tx, "person.recovery_code_used", person_id, left=left)
    if not fits:
        limits_of(page).address.add(network_of(page.address))
        return await _show(page, step, 422, recovery_error=page._("This is no recovery code of yours, or it was used."))
    return _done(page, step, cookie)


async def _pass(tx: Transaction, page: PageView, person_id: int) -> Cookie | None:
    """Spend the step; the login. None when somebody else was faster with the same step."""
    step = await steps.take(tx, page, "second")
    if step is None:
        return None
    came = step.payload.get("through")
    through = msgspec.convert(came, Through) if came else None
    return await add_login(tx, page, person_id, second_factor=True, through=through)


def _done(page: PageView, step: Step, cookie: Cookie | None) -> Response[str]:
    if cookie is None or step.person_id is None:
        return _start_again(page)
    access_of(page.request).changed(step.person_id)
    return page.go(step.payload.get("next", "/"), cookies=[cookie, steps.over(page, "second")])


async def _warn(page: PageView, person_id: int) -> None:
    """Whoever gets here knows the password: the person should hear of it, once a day."""
    day = page.services.clock.now_ms() // DAY_MS
    text = N_("Somebody typed your right password and then wrong codes.")
    async with page.services.db.transaction() as tx:
        await account_mail.write(tx, page, person_id, text, key=f"wrong codes {person_id} {day}")


def _wait_words(page: PageView) -> str:
    return page._("Too many wrong codes. Wait a quarter of an hour, or use a passkey or a recovery code.")


# ---- a passkey as the second factor


@post("/login/second/passkey/options", may="anyone", status_code=200)
async def passkey_options(page: Page) -> Response[str]:
    step = await steps.found(page, "second")
    if step is None or step.person_id is None:
        raise PageError(403, page._("That took too long, or was done already. Log in again."))
    return await passkeys.ask(page, "passkey_second", step.person_id)


@post("/login/second/passkey", may="anyone")
async def second_by_passkey(page: Page, data: Form) -> Response[str]:
    step = await steps.found(page, "second")
    if step is None or step.person_id is None:
        return _start_again(page)
    cookie = await passkeys.log_in(page, "passkey_second", data, step.person_id, also="second")
    if cookie is None:
        return await _show(page, step, 422, problem=page._("That passkey was not accepted. Try again."))
    return _done(page, step, cookie)


ROUTES = [second_page, second, passkey_options, second_by_passkey]
