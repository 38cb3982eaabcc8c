"""A person's own account: name, language, theme, logins, and which organisation is shown. Its security: `account_security`."""

from __future__ import annotations

from litestar import Response, get, post
from litestar.exceptions import NotFoundException

from borne.portal import language as languages
from borne.portal.access import access_of
from borne.portal.agents import describe_agent, is_phone
from borne.portal.audit_trail import record_of_person
from borne.portal.errors import PageError
from borne.portal.forms import Form, text_of
from borne.portal.frame import THEME_COOKIE, THEMES, Page
from borne.portal.security import browser_cookie, local_path
from borne.store import logins, passkeys, people, second_factor, tokens


@get("/account", may="person")
async def account(page: Page) -> Response[str]:
    """All of it at a glance; what needs more room has a page of its own."""
    services, person_id = page.services, page.person.person_id
    totp = await second_factor.totp_of(services.db, person_id)
    person = await people.by_id(services.db, person_id)
    return page.show(
        "account/index.html",
        logins=await logins.of_person(services.db, person_id, services.clock.now_ms()),
        has_password=person is not None and person.password_hash is not None,
        has_totp=totp is not None and totp.totp_secret is not None,
        passkeys=len(await passkeys.of_person(services.db, person_id)),
        codes_left=await second_factor.codes_left(services.db, person_id),
        tokens=len(await tokens.of_person(services.db, person_id)),
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


@post("/account/language", may="person", by_provider=True)
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


@post("/account/logins/end", may="person")
async def end_login(page: Page, data: Form) -> Response[str]:
    """End one login of one's own, or all but this one."""
    person_id, named = page.person.person_id, text_of(data, "login")
    async with page.services.db.transaction() as tx:
        if named == "others":
            await logins.end_others(tx, person_id, page.person.token_hash)
        elif not _is_hex(named) or not await logins.end_one_of(tx, person_id, bytes.fromhex(named)):
            raise NotFoundException
        await record_of_person(page, tx, "login.others_ended" if named == "others" else "login.one_ended", person_id)
    access_of(page.request).changed(person_id)
    return page.go("/account", toast=page._("That browser is logged out."))


def _is_hex(text: str) -> bool:
    return len(text) == 64 and all(character in "0123456789abcdef" for character in text)


@post("/organisation", may="person", by_provider=True)
async def switch_organisation(page: Page, data: Form) -> Response[str]:
    """Show another of one's organisations in this browser."""
    asked = text_of(data, "organisation_id", 20)
    if asked not in {str(one.id) for one in page.person.organisations}:
        raise NotFoundException
    async with page.services.db.transaction() as tx:
        await logins.choose_organisation(tx, page.person.token_hash, int(asked))
    access_of(page.request).changed(page.person.person_id)
    return page.go("/")


ROUTES = [
    account,
    rename,
    choose_language,
    look,
    end_login,
    switch_organisation,
]
