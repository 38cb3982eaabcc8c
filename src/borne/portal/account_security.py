"""The security of a person's account: password, recovery codes, what an organisation asks for; and who is told of changes."""

from __future__ import annotations

from litestar import Response, get, post
from litestar.datastructures import Cookie
from litestar.params import FromQuery

from borne.engine.passkeys import relying_party
from borne.engine.passwords import SHORTEST, is_acceptable
from borne.engine.second_factor import RECOVERY_CODES, new_recovery_codes, recovery_hash
from borne.portal import account_mail
from borne.portal.access import access_of
from borne.portal.audit_trail import record_of_person
from borne.portal.confirm import must_be_fresh
from borne.portal.errors import PageError
from borne.portal.forms import Form, password_of
from borne.portal.frame import Page, PageView
from borne.portal.language import N_
from borne.portal.login import add_login, ask_second_factor, is_password, limits_of, password_words
from borne.portal.security import local_path
from borne.store import login_steps, logins, people, second_factor
from borne.store.db import Transaction


async def changed(tx: Transaction, page: PageView, action: str, what: str, **details: object) -> None:
    """Write the audit rows of a change to one's own account, and mail the person (`what`: an English sentence)."""
    await record_of_person(page, tx, action, page.person.person_id, by_themself=True, **details)
    await account_mail.write(tx, page, page.person.person_id, what)


async def alone(tx: Transaction, page: PageView, *, second_factor: bool) -> Cookie:
    """A new login for this browser and the end of all others, and of those on their way; say `access.changed` after it."""
    visitor = page.person
    await logins.end_others(tx, visitor.person_id, visitor.token_hash)
    await login_steps.end_of(tx, visitor.person_id)
    return await add_login(tx, page, visitor.person_id, second_factor=second_factor)


# ---- password


@get("/account/password", may="person")
async def password_page(page: Page) -> Response[str]:
    return await _show_password(page)


async def _show_password(
    page: Page, status_code: int = 200, password_error: str = "", new_error: str = ""
) -> Response[str]:
    person = await people.by_id(page.services.db, page.person.person_id)
    return page.show(
        "account/password.html",
        status_code,
        has_password=person is not None and person.password_hash is not None,
        password_error=password_error,
        new_error=new_error,
        shortest=SHORTEST,
    )


@post("/account/password", may="person")
async def change_password(page: Page, data: Form) -> Response[str]:
    """A new password, a new token for this browser, and the end of every other login."""
    services, visitor = page.services, page.person
    person = await people.by_id(services.db, visitor.person_id)
    if person is None or person.password_hash is None:  # came by an identity provider: there is none to ask for
        must_be_fresh(page, "/account/password")
    else:
        if limits_of(page).login_wait_s(page.address, visitor.email):
            raise PageError(429, page._("Too many attempts from here. Wait a few minutes."))
        if not await is_password(page, visitor.email, person.password_hash, password_of(data)):
            return await _show_password(page, 422, password_error=page._("This is not your password."))
    new = password_of(data, "new_password")
    if not is_acceptable(new):
        return await _show_password(page, 422, new_error=password_words(page))
    password_hash = await services.passwords.hash(new)
    async with services.db.transaction() as tx:
        await people.set_password(tx, visitor.person_id, password_hash)
        cookie = await alone(tx, page, second_factor=visitor.second_factor)
        await changed(tx, page, "person.password_changed", N_("The password of your account was changed."))
    access_of(page.request).changed(visitor.person_id)
    toast = page._("Your password is changed. Every other browser is logged out.")
    return page.go("/account", toast=toast, cookies=[cookie])


# ---- recovery codes


@get("/account/recovery-codes", may="person")
async def recovery_page(page: Page) -> Response[str]:
    must_be_fresh(page, "/account/recovery-codes")
    if not page.person.has_second_factor:
        return page.go("/account")
    left = await second_factor.codes_left(page.services.db, page.person.person_id)
    return page.show("account/recovery.html", left=left, most=RECOVERY_CODES)


@post("/account/recovery-codes", may="person", status_code=200)
async def make_recovery_codes(page: Page) -> Response[str]:
    """Ten new ones; those before them stop working."""
    must_be_fresh(page, "/account/recovery-codes")
    if not page.person.has_second_factor:
        return page.go("/account")
    async with page.services.db.transaction() as tx:
        codes = await new_codes(tx, page.person.person_id)
        what = N_("New recovery codes were made. The earlier ones no longer work.")
        await changed(tx, page, "person.recovery_codes_made", what)
    return show_codes(page, codes)


async def new_codes(tx: Transaction, person_id: int) -> list[str]:
    """Recovery codes in the place of all earlier ones, to be shown once."""
    codes = new_recovery_codes()
    await second_factor.set_codes(tx, person_id, [recovery_hash(code) for code in codes])
    return codes


def show_codes(page: PageView, codes: list[str], what: str = "", cookie: Cookie | None = None) -> Response[str]:
    """The page that shows recovery codes, once. `what` happened before."""
    answer = page.show("account/codes.html", codes=codes, what=what)
    if cookie is not None:
        answer.set_cookie(cookie)
    return answer


# ---- factors, whichever


async def factor_added(page: PageView, tx: Transaction) -> tuple[Cookie, list[str]]:
    """After a second factor was added: this browser has passed it, and the first one brings recovery codes."""
    person_id = page.person.person_id
    codes = [] if await second_factor.codes_left(tx, person_id) else await new_codes(tx, person_id)
    return await add_login(tx, page, person_id, second_factor=True), codes


async def factor_removed(page: PageView, tx: Transaction) -> Cookie:
    """After one was removed: every other login ends; with the last one the recovery codes go too."""
    person_id = page.person.person_id
    has_more = await second_factor.has(tx, person_id)
    if not has_more:
        await second_factor.drop_codes(tx, person_id)
    return await alone(tx, page, second_factor=has_more and page.person.second_factor)


@get("/account/second-factor", may="person")
async def second_factor_page(page: Page, next: FromQuery[str | None] = None) -> Response[str]:
    """Where an organisation that requires a second factor leads those without one, and logins that passed none."""
    visitor, onward = page.person, local_path(next)
    if visitor.second_factor:
        return page.go(onward)
    if visitor.has_second_factor:
        return page.go("/login/second", cookies=[await ask_second_factor(page, visitor.person_id, onward)])
    offers_passkeys = relying_party(page.services.settings.public_url) is not None
    return page.show("account/second_factor.html", offers_passkeys=offers_passkeys)


ROUTES = [
    password_page, change_password, recovery_page, make_recovery_codes, second_factor_page,
]  # fmt: skip
