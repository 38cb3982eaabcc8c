"""A person's own account: name, language, theme, password, logins, and which organisation is shown."""

from __future__ import annotations

from litestar import Response, get, post
from litestar.exceptions import NotFoundException

from borne.engine.passwords import SHORTEST, is_acceptable
from borne.portal import language as languages
from borne.portal.access import access_of
from borne.portal.errors import PageError
from borne.portal.forms import Form, password_of, text_of
from borne.portal.frame import THEME_COOKIE, THEMES, Page
from borne.portal.login import is_password, limits_of, password_words, start_login
from borne.portal.security import browser_cookie, local_path
from borne.store import logins, people


@get("/account", may="person")
async def account(page: Page) -> Response[str]:
    return await _show(page)


async def _show(page: Page, status_code: int = 200, password_error: str = "", new_error: str = "") -> Response[str]:
    rows = await logins.of_person(page.services.db, page.person.person_id, page.services.clock.now_ms())
    return page.show(
        "account.html",
        status_code,
        logins=rows,
        password_error=password_error,
        new_error=new_error,
        shortest=SHORTEST,
        describe=describe_agent,
        is_phone=is_phone,
    )


@post("/account/name", may="person")
async def rename(page: Page, data: Form) -> Response[str]:
    name = text_of(data, "name", 100)
    if not name:
        raise PageError(422, page._("Please fill this in."))
    async with page.services.db.transaction() as tx:
        await people.set_name(tx, page.person.person_id, name)
    access_of(page.request).changed(page.person.person_id)
    return page.go("/account", toast=page._("Your name is changed."))


@post("/account/language", may="person")
async def choose_language(page: Page, data: Form) -> Response[str]:
    """The language of a person, on every browser; none is the browser's own."""
    language = languages.known(text_of(data, "language"))
    async with page.services.db.transaction() as tx:
        await people.set_language(tx, page.person.person_id, language)
    access_of(page.request).changed(page.person.person_id)
    cookie = browser_cookie(page.services.settings, languages.COOKIE, language or "", None if language else 0)
    return page.go("/account", cookies=[cookie])


@post("/look", may="anyone", before_setup=True)
async def look(page: Page, data: Form) -> Response[str]:
    """The switches of the menu: theme (kept in this browser) and language (kept with the person, else in this browser)."""
    settings, cookies = page.services.settings, []
    if "theme" in data:
        theme = text_of(data, "theme")
        cookies.append(browser_cookie(settings, THEME_COOKIE, theme, None if theme in THEMES else 0))
    language = languages.known(text_of(data, "language"))
    if language is not None:
        cookies.append(browser_cookie(settings, languages.COOKIE, language))
        if page.visitor is not None:
            async with page.services.db.transaction() as tx:
                await people.set_language(tx, page.visitor.person_id, language)
            access_of(page.request).changed(page.visitor.person_id)
    return page.go(local_path(text_of(data, "next", 2_000)), cookies=cookies)


@post("/account/password", may="person")
async def change_password(page: Page, data: Form) -> Response[str]:
    """A new password, a new token for this browser, and the end of every other login."""
    services, person_id, email = page.services, page.person.person_id, page.person.email
    person = await people.by_id(services.db, person_id)
    if limits_of(page).login_wait_s(page.address, email):
        raise PageError(429, page._("Too many attempts from here. Wait a few minutes."))
    if not await is_password(page, email, person.password_hash if person else None, password_of(data)):
        return await _show(page, 422, password_error=page._("This is not your password."))
    new = password_of(data, "new_password")
    if not is_acceptable(new):
        return await _show(page, 422, new_error=password_words(page))
    password_hash = await services.passwords.hash(new)
    async with services.db.transaction() as tx:
        await people.set_password(tx, person_id, password_hash)
        await logins.end_others(tx, person_id, page.person.token_hash)
    cookie = await start_login(page, person_id)
    toast = page._("Your password is changed. Every other browser is logged out.")
    return page.go("/account", toast=toast, cookies=[cookie])


@post("/account/logins/end", may="person")
async def end_login(page: Page, data: Form) -> Response[str]:
    """End one login of one's own, or all but this one."""
    person_id, named = page.person.person_id, text_of(data, "login")
    async with page.services.db.transaction() as tx:
        if named == "others":
            await logins.end_others(tx, person_id, page.person.token_hash)
        elif not _is_hex(named) or not await logins.end_one_of(tx, person_id, bytes.fromhex(named)):
            raise NotFoundException
    access_of(page.request).changed(person_id)
    return page.go("/account", toast=page._("That browser is logged out."))


def _is_hex(text: str) -> bool:
    return len(text) == 64 and all(character in "0123456789abcdef" for character in text)


@post("/organisation", may="person")
async def switch_organisation(page: Page, data: Form) -> Response[str]:
    """Show another of one's organisations in this browser."""
    asked = text_of(data, "organisation_id", 20)
    if asked not in {str(one.id) for one in page.person.organisations}:
        raise NotFoundException
    async with page.services.db.transaction() as tx:
        await logins.choose_organisation(tx, page.person.token_hash, int(asked))
    access_of(page.request).changed(page.person.person_id)
    return page.go("/")


BROWSERS = (("Edg", "Edge"), ("OPR", "Opera"), ("Firefox", "Firefox"), ("Chrom", "Chrome"), ("Safari", "Safari"))
SYSTEMS = (
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Windows", "Windows"),
    ("Mac OS", "macOS"),
    ("Linux", "Linux"),
)


def describe_agent(agent: str) -> str:
    """`Firefox, Linux` of a browser's long name; what it says itself, shortened, where that is not known."""
    known = [next((name for mark, name in names if mark in agent), "") for names in (BROWSERS, SYSTEMS)]
    return ", ".join(name for name in known if name) or agent[:40] or "–"


def is_phone(agent: str) -> bool:
    return "Mobi" in agent or "Android" in agent


ROUTES = [
    account,
    rename,
    choose_language,
    look,
    change_password,
    end_login,
    switch_organisation,
]
