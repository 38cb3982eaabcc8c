"""The authenticator app of an account: set up with a QR code and a first code of it, and removed.

The secret of a set-up on its way is in the form, closed with the installation's key: nothing is kept until a code has shown
that the app has it.
"""

from __future__ import annotations

import msgspec
from litestar import Response, get, post

from borne.engine.second_factor import app_address, new_secret, step_of
from borne.portal.access import access_of
from borne.portal.account_security import changed, factor_added, factor_removed, show_codes
from borne.portal.confirm import must_be_fresh
from borne.portal.credentials import qr_code
from borne.portal.errors import PageError
from borne.portal.forms import Form, text_of
from borne.portal.frame import Page, PageView
from borne.portal.language import N_
from borne.portal.login import limits_of
from borne.store import second_factor

PATH = "/account/totp"
SETUP_MS = 30 * 60_000
SEALED_BOUND = 2_000
CODE_BOUND = 40


class Setup(msgspec.Struct, frozen=True):
    """A set-up on its way: whose, the secret, since when."""

    person_id: int
    secret: str
    at_ms: int


@get(PATH, may="person")
async def totp_page(page: Page) -> Response[str]:
    must_be_fresh(page, PATH)
    if await _is_on(page):
        return page.show("account/totp_on.html")
    return _show(page, Setup(page.person.person_id, new_secret(), page.services.clock.now_ms()))


def _show(page: PageView, setup: Setup, status_code: int = 200, error: str = "") -> Response[str]:
    return page.show(
        "account/totp.html",
        status_code,
        qr=qr_code(app_address(setup.secret, page.person.email, "Borne")),
        key=" ".join(setup.secret[at : at + 4] for at in range(0, len(setup.secret), 4)),
        sealed=page.services.box.close(msgspec.json.encode(setup).decode()).decode(),
        error=error,
    )


async def _is_on(page: PageView) -> bool:
    row = await second_factor.totp_of(page.services.db, page.person.person_id)
    return row is not None and row.totp_secret is not None


def _opened(page: PageView, sealed: str) -> Setup | None:
    """The set-up of the form, if we closed it, for this person, not long ago."""
    text = page.services.box.open(sealed.encode())
    try:
        setup = msgspec.json.decode(text or "", type=Setup)
    except msgspec.DecodeError:
        return None
    is_late = page.services.clock.now_ms() - setup.at_ms > SETUP_MS
    return None if is_late or setup.person_id != page.person.person_id else setup


@post(PATH, may="person", status_code=200)
async def turn_on(page: Page, data: Form) -> Response[str]:
    must_be_fresh(page, PATH)
    setup, limits, person_id = (
        _opened(page, text_of(data, "setup", SEALED_BOUND)),
        limits_of(page),
        page.person.person_id,
    )
    if setup is None or await _is_on(page):
        return page.go(PATH)
    if wait_s := limits.code_wait_s(page.address, person_id):
        raise PageError(429, page._("Too many wrong codes. Wait a quarter of an hour."), retry_after_s=wait_s)
    limits.code_tried(page.address, person_id)
    step = step_of(setup.secret, text_of(data, "code", CODE_BOUND), page.services.clock.now_ms())
    if step is None:
        return _show(
            page, setup, 422, error=page._("This is not the code of this moment. Is the clock of your phone right?")
        )
    limits.code_fitted(page.address, person_id)
    async with page.services.db.transaction() as tx:
        if not await second_factor.set_totp(tx, person_id, page.services.box.close(setup.secret), step):
            return page.go(PATH)
        cookie, codes = await factor_added(page, tx)
        await changed(tx, page, "person.totp_added", N_("An authenticator app was added as a second factor."))
    access_of(page.request).changed(person_id)
    say = page._("Your authenticator app is asked for from now on.")
    return show_codes(page, codes, say, cookie) if codes else page.go("/account", toast=say, cookies=[cookie])


@post("/account/totp/remove", may="person")
async def turn_off(page: Page) -> Response[str]:
    must_be_fresh(page, PATH)
    async with page.services.db.transaction() as tx:
        if not await second_factor.remove_totp(tx, page.person.person_id):
            return page.go("/account")
        cookie = await factor_removed(page, tx)
        await changed(tx, page, "person.totp_removed", N_("The authenticator app was removed: a second factor less."))
    access_of(page.request).changed(page.person.person_id)
    say = page._("The authenticator app is removed. Every other browser is logged out.")
    return page.go("/account", toast=say, cookies=[cookie])


ROUTES = [totp_page, turn_on, turn_off]
