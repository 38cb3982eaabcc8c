"""Showing again who one is, before something that a found browser must not be able to do: password, factors, tokens."""

from __future__ import annotations

from litestar import Response, get, post
from litestar.params import FromQuery

from borne.portal import passkeys
from borne.portal.access import ConfirmationNeededError
from borne.portal.errors import PageError
from borne.portal.forms import Form, password_of, text_of
from borne.portal.frame import Page, PageView
from borne.portal.login import first_factor_passed, is_password, limits_of, start_login
from borne.portal.security import local_path
from borne.store import passkeys as passkey_store
from borne.store import people

FRESH_MS = 10 * 60_000


def must_be_fresh(page: PageView, onward: str) -> None:
    """Raises ConfirmationNeededError unless the login is a few minutes old and has passed a second factor, where the person
    has one. `onward`: the page to come back to."""
    visitor = page.person
    is_fresh = page.services.clock.now_ms() - visitor.since_ms < FRESH_MS
    if not is_fresh or (visitor.has_second_factor and not visitor.second_factor):
        raise ConfirmationNeededError(onward)


@get("/account/confirm", may="person")
async def confirm_page(page: Page, next: FromQuery[str | None] = None) -> Response[str]:
    return await _show(page, local_path(next, "/account"))


async def _show(page: Page, onward: str, status_code: int = 200, error: str = "", problem: str = "") -> Response[str]:
    person = await people.by_id(page.services.db, page.person.person_id)
    return page.show(
        "account/confirm.html",
        status_code,
        onward=onward,
        has_password=person is not None and person.password_hash is not None,
        has_passkeys=bool(await passkey_store.of_person(page.services.db, page.person.person_id)),
        offers_passkeys=passkeys.party_of(page) is not None,
        error=error,
        problem=problem,
    )


@post("/account/confirm", may="person")
async def confirm(page: Page, data: Form) -> Response[str]:
    """The password again: a new login in the place of this one."""
    visitor, onward = page.person, local_path(text_of(data, "next", 2_000), "/account")
    if wait_s := limits_of(page).login_wait_s(page.address, visitor.email):
        raise PageError(429, page._("Too many attempts from here. Wait a few minutes."), retry_after_s=wait_s)
    person = await people.by_id(page.services.db, visitor.person_id)
    if not await is_password(page, visitor.email, person.password_hash if person else None, password_of(data)):
        return await _show(page, onward, 422, error=page._("This is not your password."))
    if visitor.has_second_factor and not visitor.second_factor:
        return await first_factor_passed(page, visitor.person_id, onward)
    return page.go(onward, cookies=[await start_login(page, visitor.person_id, second_factor=visitor.second_factor)])


@post("/account/confirm/passkey/options", may="person", status_code=200)
async def passkey_options(page: Page) -> Response[str]:
    return await passkeys.ask(page, "passkey_confirm", page.person.person_id)


@post("/account/confirm/passkey", may="person")
async def confirm_by_passkey(page: Page, data: Form) -> Response[str]:
    onward = local_path(text_of(data, "next", 2_000), "/account")
    cookie = await passkeys.log_in(page, "passkey_confirm", data, page.person.person_id)
    if cookie is None:
        return await _show(page, onward, 422, problem=page._("That passkey was not accepted. Try again."))
    return page.go(onward, cookies=[cookie])


ROUTES = [confirm_page, confirm, passkey_options, confirm_by_passkey]
