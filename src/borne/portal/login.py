"""Logging in and out, and the way back in for who forgot the password.

A stranger learns nothing: the same words and the same work for an address that is known and for one that is not.
"""

from __future__ import annotations

import logging
import secrets

import msgspec
from litestar import Response, get, post
from litestar.background_tasks import BackgroundTask
from litestar.datastructures import Cookie
from litestar.params import FromPath, FromQuery

from borne.engine.passkeys import relying_party
from borne.engine.passwords import SHORTEST, TooBusyError, is_acceptable
from borne.portal import steps
from borne.portal.access import DAY_MS, access_of, token_hash
from borne.portal.audit_trail import FAILURES_RECORDED, record_failed_login, record_in_organisation, record_of_person
from borne.portal.errors import PageError
from borne.portal.forms import Form, email_of, password_of, text_of
from borne.portal.frame import Page
from borne.portal.rate_limit import Limits
from borne.portal.security import local_path, login_cookie
from borne.store import identity_providers, login_steps, logins, people, second_factor
from borne.store.db import Row, Transaction

log = logging.getLogger(__name__)

AGENT_BOUND = 300
TOKEN_BYTES = 32
MINUTE_MS = 60_000
DAY_S = 86_400
TOKEN_LENGTH = 43  # of 32 bytes
SECOND_FACTOR_MINUTES = 10
PROVIDER_COOKIE = "borne_provider"  # the slug of the identity provider that this browser came in by last


class Through(msgspec.Struct, frozen=True):
    """The identity provider that a login comes through, and the one organisation that it reaches."""

    provider_id: int
    organisation_id: int
    name: str


def limits_of(page: Page) -> Limits:
    limits = page.request.app.state.limits
    assert isinstance(limits, Limits)
    return limits


@get("/login", may="anyone")
async def login_page(page: Page, next: FromQuery[str | None] = None) -> Response[str]:
    if page.visitor is not None:
        return page.go(local_path(next))
    slug = page.request.cookies.get(PROVIDER_COOKIE, "")
    provider = await identity_providers.by_slug(page.services.db, slug) if 0 < len(slug) <= TOKEN_LENGTH else None
    return show_login(page, local_path(next), provider=provider)


def show_login(
    page: Page, onward: str, status_code: int = 200, *, email: str = "", error: str = "", provider: Row | None = None
) -> Response[str]:
    """The login page. `onward`: where to go after it. `provider`: the one that this browser came in by last."""
    return page.show(
        "login.html",
        status_code,
        email=email,
        next=onward,
        error=error,
        provider=provider,
        offers_passkeys=relying_party(page.services.settings.public_url) is not None,
    )


@post("/login", may="anyone")
async def log_in(page: Page, data: Form) -> Response[str]:
    email, password, onward = email_of(data), password_of(data), local_path(text_of(data, "next", 2_000))
    limits = limits_of(page)
    _refuse_the_hasty(page, email)
    if not await limits.slow_down(email):
        raise TooBusyError
    person = await people.by_email(page.services.db, email)
    _refuse_the_hasty(page, email)  # others may have failed while this one waited
    usable_hash = person.password_hash if person is not None and not person.disabled else None
    if not await is_password(page, email, usable_hash, password) or person is None:
        error = page._("The e-mail address or the password is wrong.")
        answer = show_login(page, onward, 422, email=email, error=error)
        if person is not None and limits.account.count(email) <= FAILURES_RECORDED:
            answer.background = BackgroundTask(record_failed_login, page, person.id)
        return answer
    if page.services.passwords.is_outdated(person.password_hash):
        await _strengthen(page, person.id, password)
    return await first_factor_passed(page, person.id, onward)


def _refuse_the_hasty(page: Page, email: str) -> None:
    wait_s = limits_of(page).login_wait_s(page.address, email)
    if wait_s:
        raise PageError(429, _wait_words(page, wait_s), retry_after_s=wait_s)


async def is_password(page: Page, email: str, password_hash: str | None, password: str) -> bool:
    """Whether it is the account's; a wrong one counts against this address. Raises TooBusyError: it was not looked at."""
    limits = limits_of(page)
    limits.login_tried(page.address, email)
    try:
        fits = await page.services.passwords.verify(password_hash, password)
    except TooBusyError:
        limits.login_unjudged(page.address, email)
        raise
    if fits:
        limits.login_succeeded(page.address, email)
    return fits


def _wait_words(page: Page, wait_s: int) -> str:
    return page._(
        "Too many attempts from here. Try again in %(wait)s. Chargers are not affected.",
        wait=page.formats.duration(wait_s * 1_000, parts=1),
    )


async def first_factor_passed(page: Page, person_id: int, onward: str, toast: str | None = None) -> Response[str]:
    """Log somebody in who proved to be this person, or ask for their second factor first: until then there is no login."""
    if await second_factor.has(page.services.db, person_id):
        return page.go("/login/second", toast=toast, cookies=[await ask_second_factor(page, person_id, onward)])
    return page.go(onward, toast=toast, cookies=[await start_login(page, person_id)])


async def ask_second_factor(page: Page, person_id: int, onward: str, through: Through | None = None) -> Cookie:
    """Begin the step between a password and a second factor: the cookie that /login/second continues."""
    came = msgspec.to_builtins(through)
    return await steps.begin(page, "second", SECOND_FACTOR_MINUTES, person_id, next=onward, through=came)


async def start_login(page: Page, person_id: int, *, second_factor: bool = False) -> Cookie:
    """Make a new login, with a token that nobody knew before, in the place of the browser's old one.

    `second_factor`: it has passed one. Nothing else makes a login: ask `first_factor_passed` where one may be missing.
    """
    async with page.services.db.transaction() as tx:
        cookie = await add_login(tx, page, person_id, second_factor=second_factor)
    access_of(page.request).changed(person_id)
    return cookie


async def add_login(
    tx: Transaction, page: Page, person_id: int, *, second_factor: bool, through: Through | None = None
) -> Cookie:
    """`start_login` inside a transaction that spends what the login was proved with; say `access.changed` after it."""
    settings, now_ms = page.services.settings, page.services.clock.now_ms()
    token = secrets.token_urlsafe(TOKEN_BYTES)
    if page.visitor is not None:
        await logins.end(tx, page.visitor.token_hash)
    await logins.start(
        tx,
        token_hash=token_hash(token),
        person_id=person_id,
        organisation_id=through.organisation_id if through else _kept_organisation(page, person_id),
        now_ms=now_ms,
        expires_ms=now_ms + settings.login_days * DAY_MS,
        address=page.address,
        agent=page.request.headers.get("user-agent", "")[:AGENT_BOUND],
        second_factor=second_factor,
        provider_id=through.provider_id if through else None,
    )
    if through is None:
        await record_of_person(page, tx, "login.started", person_id)
    else:
        await record_in_organisation(
            page, tx, "login.started", person_id, through.organisation_id, through=through.name
        )
    return login_cookie(settings, token, settings.login_days * DAY_S)


def _kept_organisation(page: Page, person_id: int) -> int | None:
    visitor = page.visitor
    if visitor is None or visitor.person_id != person_id or visitor.organisation is None:
        return None
    return visitor.organisation.id


async def _strengthen(page: Page, person_id: int, password: str) -> None:
    """Hash the password with today's parameters: this is the one moment when it is known."""
    password_hash = await page.services.passwords.hash(password)
    async with page.services.db.transaction() as tx:
        await people.set_password(tx, person_id, password_hash)


@post("/logout", may="person", by_provider=True)
async def log_out(page: Page) -> Response[str]:
    async with page.services.db.transaction() as tx:
        await logins.end(tx, page.person.token_hash)
        await record_of_person(page, tx, "login.ended", page.person.person_id)
    access_of(page.request).changed(page.person.person_id)
    return page.go("/login", toast=page._("You are logged out."), cookies=[login_cookie(page.services.settings, "", 0)])


# ---- forgotten password


@get("/forgotten", may="anyone")
async def forgotten_page(page: Page) -> Response[str]:
    return page.show("forgotten.html", is_sent=False, email="")


@post("/forgotten", may="anyone")
async def forgotten(page: Page, data: Form) -> Response[str]:
    """Says the same for every address; whether a mail goes out is decided after the answer has left."""
    email, limits = email_of(data), limits_of(page)
    wait_s = limits.forgotten_address.wait_s(page.address)
    if wait_s:
        raise PageError(429, _wait_words(page, wait_s), retry_after_s=wait_s)
    limits.forgotten_address.add(page.address)
    answer = page.show("forgotten.html", is_sent=True, email=email)
    if not limits.forgotten.wait_s(email):
        limits.forgotten.add(email)
        answer.background = BackgroundTask(_offer_reset, page, email)
    return answer


async def _offer_reset(page: Page, email: str) -> None:
    person = await people.by_email(page.services.db, email)
    if person is None or person.disabled:
        log.info("a password reset was asked for an address without an account")
        return
    async with page.services.db.transaction() as tx:
        await offer_reset(page, tx, person)


async def offer_reset(page: Page, tx: Transaction, person: Row) -> None:
    """Mail a person (id, name, email) the one link that sets a new password; the earlier ones stop working."""
    services = page.services
    token, now_ms = secrets.token_urlsafe(TOKEN_BYTES), services.clock.now_ms()
    lifetime_ms = services.settings.reset_minutes * MINUTE_MS
    subject, body = _reset_mail(page, person.name, f"{services.settings.public_url}/reset/{token}", lifetime_ms)
    await logins.offer_reset(tx, token_hash(token), person.id, now_ms, now_ms + lifetime_ms)
    key = f"reset {token_hash(token).hex()}"
    await services.mail.enqueue(tx, recipient=person.email, subject=subject, body=body, key=key)


def _reset_mail(page: Page, name: str, link: str, lifetime_ms: int) -> tuple[str, str]:
    subject = page._("Choose a new password for Borne")
    body = page._(
        "Hello %(name)s,\n\nsomebody, probably you, asked for a new password for your account at Borne."
        " Choose it here within %(time)s:\n\n%(link)s\n\nThe link works once."
        " If you did not ask, ignore this mail: nothing has changed.\n",
        name=name,
        time=page.formats.duration(lifetime_ms, parts=1),
        link=link,
    )
    return subject, body


@get("/reset/{token:str}", may="anyone")
async def reset_page(page: Page, token: FromPath[str]) -> Response[str]:
    if await logins.reset_person(page.services.db, token_hash(token), page.services.clock.now_ms()) is None:
        return _reset_is_over(page)
    return page.show("reset.html", token=token, error="", shortest=SHORTEST)


@post("/reset/{token:str}", may="anyone")
async def reset(page: Page, token: FromPath[str], data: Form) -> Response[str]:
    """Spend the link: a new password, and no other login of this person remains."""
    services, now_ms = page.services, page.services.clock.now_ms()
    person_id = await logins.reset_person(services.db, token_hash(token), now_ms)
    if person_id is None:
        return _reset_is_over(page)
    password = password_of(data)
    if not is_acceptable(password):
        return page.show("reset.html", 422, token=token, error=password_words(page), shortest=SHORTEST)
    password_hash = await services.passwords.hash(password)
    async with services.db.transaction() as tx:
        is_first = await logins.use_reset(tx, token_hash(token), now_ms)
        if is_first:
            await people.set_password(tx, person_id, password_hash)
            await logins.end_others(tx, person_id, b"")
            await login_steps.end_of(tx, person_id)
            await record_of_person(page, tx, "person.password_reset", person_id)
    if not is_first:
        return _reset_is_over(page)
    access_of(page.request).changed(person_id)
    return await first_factor_passed(page, person_id, "/", toast=page._("Your new password is set."))


def password_words(page: Page) -> str:
    """Why a password was not taken."""
    return page._("Choose a password of at least %(n)s characters.", n=SHORTEST)


def _reset_is_over(page: Page) -> Response[str]:
    return page.show("reset_over.html", 404)


ROUTES = [login_page, log_in, log_out, forgotten_page, forgotten, reset_page, reset]
