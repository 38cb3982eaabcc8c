"""Logging in with the account of one's organisation (OpenID Connect): the page of a provider, the way there and back.

A stranger learns nothing: the address of a provider's page is random, and whoever types an e-mail address gets the same answer
whatever it is; the page is in the mail that goes there. A browser that came in by a provider once is offered it again.
"""

from __future__ import annotations

import json
import logging
import secrets

import msgspec
from litestar import Response, get, post
from litestar.background_tasks import BackgroundTask
from litestar.enums import MediaType
from litestar.exceptions import NotFoundException
from litestar.params import FromPath, FromQuery

from borne.engine.oidc import Client, Flight, OidcError, Providers
from borne.engine.outgoing import FetchError
from borne.engine.plans import NoRoomError
from borne.engine.rate_limit import network_of
from borne.engine.sign_in import NotAdmittedError, Refusal, SignIn
from borne.portal.access import access_of, token_hash
from borne.portal.errors import PageError
from borne.portal.forms import Form, email_of
from borne.portal.frame import Page, PageView
from borne.portal.invitations import invitations_of
from borne.portal.language import N_
from borne.portal.login import (
    PROVIDER_COOKIE,
    TOKEN_BYTES,
    TOKEN_LENGTH,
    Through,
    add_login,
    ask_second_factor,
    limits_of,
)
from borne.portal.security import browser_cookie, cookie_name, local_path
from borne.store import identity_providers as store
from borne.store import login_steps, second_factor
from borne.store.db import Row

log = logging.getLogger(__name__)

KIND = "provider"
VISIT_MINUTES = 15
MINUTE_MS = 60_000
CODE_BOUND = 4_000

REFUSALS: dict[Refusal, str] = {
    "no_email": N_("%(provider)s did not tell your e-mail address, so that Borne cannot know who you are."),
    "unverified": N_(
        "%(provider)s does not say that your e-mail address is verified, so that Borne cannot rely on it."
    ),
    "stranger": N_(
        "%(provider)s knows you, but %(organisation)s has not let you in here. Ask an admin of %(organisation)s to invite you."
    ),
    "linked": N_(
        "Your e-mail address belongs to another account of %(provider)s here. A super-admin of %(organisation)s can forget it."
    ),
}


class Visit(msgspec.Struct, frozen=True):
    """What a visit to a provider began with. `browser`: the hash of the secret that only this browser has."""

    provider_id: int
    browser: str
    onward: str


def providers_of(page: PageView) -> Providers:
    found = page.request.app.state.providers
    assert isinstance(found, Providers)
    return found


def login_address(page: PageView, slug: str) -> str:
    """The page of a provider: what an organisation gives to its people."""
    return f"{page.services.settings.public_url}/login/with/{slug}"


def client_of(page: PageView, row: Row) -> Client:
    """What Borne is to this provider. Raises OidcError when its secret cannot be read any more."""
    secret = None
    if row.client_secret is not None:
        secret = page.services.box.open(row.client_secret)
        if secret is None:
            raise OidcError("code", "secret")
    return Client(row.issuer, row.client_id, secret, f"{login_address(page, row.slug)}/back")


# ---- which provider


@get("/login/organisation", may="anyone")
async def which_page(page: Page, next: FromQuery[str | None] = None) -> Response[str]:
    return page.show("sign_in/which.html", email="", is_sent=False)


@post("/login/organisation", may="anyone", status_code=200)
async def which(page: Page, data: Form) -> Response[str]:
    """The same answer for every address; what the mail says, and whether there is one, is decided after it has left."""
    email, limits = email_of(data), limits_of(page)
    if wait_s := limits.forgotten_address.wait_s(page.address):
        raise PageError(429, page._("Too many attempts from here. Wait a few minutes."), retry_after_s=wait_s)
    limits.forgotten_address.add(page.address)
    answer = page.show("sign_in/which.html", email=email, is_sent=True)
    if not limits.forgotten.wait_s(email):
        limits.forgotten.add(email)
        answer.background = BackgroundTask(_mail_pages, page, email)
    return answer


async def _mail_pages(page: PageView, email: str) -> None:
    services = page.services
    rows = await store.offered_to(services.db, email, services.clock.now_ms())
    if not rows:
        log.info("a sign-in page was asked for an address that has none")
        return
    links = "\n\n".join(f"{row.organisation_name}, {row.name}:\n{login_address(page, row.slug)}" for row in rows)
    body = page._(
        "Hello,\n\nthis is where you log in to Borne with the account of your organisation:\n\n%(links)s\n\n"
        "Keep the address: it stays the same.\nIf you did not ask, ignore this mail.\n",
        links=links,
    )
    async with services.db.transaction() as tx:
        key = f"sign-in {token_hash(email).hex()[:32]} {services.clock.now_ms()}"
        subject = page._("Log in to Borne with the account of your organisation")
        await services.mail.enqueue(tx, recipient=email, subject=subject, body=body, key=key)


# ---- there


async def _provider(page: PageView, slug: str) -> Row:
    row = await store.by_slug(page.services.db, slug)
    if row is None:
        raise NotFoundException
    return row


@get("/login/with/{slug:str}", may="anyone")
async def provider_page(page: Page, slug: FromPath[str], next: FromQuery[str | None] = None) -> Response[str]:
    """The page of a provider."""
    row = await _provider(page, slug)
    return page.show("sign_in/with.html", provider=row, next=local_path(next))


@get("/login/with/{slug:str}/go", may="anyone")
async def go(page: Page, slug: FromPath[str], next: FromQuery[str | None] = None) -> Response[str]:
    """Off to the provider. (A GET: what a form leads to has to be ours, by the security policy of the pages.)"""
    row, limits, services = await _provider(page, slug), limits_of(page), page.services
    network = network_of(page.address)
    if wait_s := limits.provider.wait_s(network):
        raise PageError(429, page._("Too many attempts from here. Wait a few minutes."), retry_after_s=wait_s)
    limits.provider.add(network)
    secret, state = _secret(page) or secrets.token_urlsafe(TOKEN_BYTES), secrets.token_urlsafe(TOKEN_BYTES)
    try:
        address = await providers_of(page).way_there(client_of(page, row), Flight.of(secret, state))
    except (FetchError, OidcError) as error:
        return _broken(page, row, error)
    visit, now_ms = Visit(row.id, token_hash(secret).hex(), local_path(next)), services.clock.now_ms()
    async with services.db.transaction() as tx:
        await login_steps.add(
            tx, token_hash(state), KIND, payload=msgspec.json.encode(visit).decode(), now_ms=now_ms,
            expires_ms=now_ms + VISIT_MINUTES * MINUTE_MS,
        )  # fmt: skip
    answer = Response("", media_type=MediaType.HTML, status_code=303, headers={"location": address})
    answer.set_cookie(browser_cookie(services.settings, _cookie(page), secret, VISIT_MINUTES * 60))
    return answer


def _cookie(page: PageView) -> str:
    return cookie_name("borne_visit", page.services.settings)


def _secret(page: PageView) -> str | None:
    """The secret of this browser, if it is on its way already: two tabs may be."""
    kept = page.request.cookies.get(_cookie(page), "")
    return kept if len(kept) == TOKEN_LENGTH and kept.isascii() else None


# ---- back


@get("/login/with/{slug:str}/back", may="anyone")
async def back(page: Page, slug: FromPath[str]) -> Response[str]:
    """The browser is back, with a code that only this visit can use, once."""
    told = page.request.query_params
    code, state, error, iss = told.get("code", ""), told.get("state", ""), told.get("error", ""), told.get("iss")
    row = await _provider(page, slug)
    visit = await _visit(page, row, state)
    if visit is None:
        text = page._("That took too long, or was done already. Log in again.")
        return page.show("sign_in/failed.html", 403, provider=row, text=text, detail="")
    if error or not 0 < len(code) <= CODE_BOUND:
        return page.show(
            "sign_in/failed.html", 403, provider=row, detail=error[:60] if error.isascii() and error.isprintable() else "",
            text=page._("%(provider)s did not log you in.", provider=row.name),
        )  # fmt: skip
    flight = Flight.of(_secret(page) or "", state)
    try:
        claims = await providers_of(page).identify(client_of(page, row), flight, code, iss)
    except (FetchError, OidcError) as failure:
        return _broken(page, row, failure)
    sign_in = SignIn(page.services.db, page.services.clock, page.services.audit, invitations_of(page.services))
    try:
        admitted = await sign_in.admit(row, claims, page.language, page.address)
    except NotAdmittedError as refused:
        names = {"provider": row.name, "organisation": row.organisation_name}
        text = page._(REFUSALS[refused.why], **names)
        return page.show("sign_in/failed.html", 403, provider=row, text=text, detail="")
    except NoRoomError:
        text = page._("%(organisation)s has no room for more people at the moment.", organisation=row.organisation_name)
        return page.show("sign_in/failed.html", 409, provider=row, text=text, detail="")
    return await _come_in(page, row, admitted.person_id, visit.onward, admitted.joined)


async def _visit(page: PageView, row: Row, state: str) -> Visit | None:
    """The visit that comes back here: begun by this browser, to this provider, not long ago, and never before."""
    secret = _secret(page)
    async with page.services.db.transaction() as tx:
        step = await login_steps.take(tx, token_hash(state[:100]), KIND, page.services.clock.now_ms())
    if step is None or secret is None:
        return None
    visit = msgspec.convert(json.loads(step.payload), Visit)
    is_same = secrets.compare_digest(visit.browser, token_hash(secret).hex())
    return visit if is_same and visit.provider_id == row.id else None


async def _come_in(page: PageView, row: Row, person_id: int, onward: str, joined: bool) -> Response[str]:
    """A login that reaches this organisation alone; after a second factor, where the provider does not cover it."""
    through, settings = Through(row.id, row.organisation_id, row.name), page.services.settings
    cookies = [browser_cookie(settings, _cookie(page), "", 0), browser_cookie(settings, PROVIDER_COOKIE, row.slug)]
    toast = page._("Welcome to %(organisation)s.", organisation=row.organisation_name) if joined else None
    if not row.covers_second_factor and await second_factor.has(page.services.db, person_id):
        step = await ask_second_factor(page, person_id, onward, through)
        return page.go("/login/second", cookies=[*cookies, step])
    async with page.services.db.transaction() as tx:
        is_covered = bool(row.covers_second_factor)
        cookie = await add_login(tx, page, person_id, second_factor=is_covered, through=through)
    access_of(page.request).changed(person_id)
    return page.go(onward, toast=toast, cookies=[*cookies, cookie])


def _broken(page: PageView, row: Row, error: FetchError | OidcError) -> Response[str]:
    """The provider is not as it has to be: a sentence for the person, the reason in the log and on the page of its test."""
    log.warning("identity provider %s of organisation %s: %s", row.id, row.organisation_id, error)
    text = page._(
        "Logging in with %(provider)s did not work. Try again; if it stays, tell a super-admin of %(organisation)s.",
        provider=row.name,
        organisation=row.organisation_name,
    )
    return page.show("sign_in/failed.html", 502, provider=row, text=text, detail=str(error)[:80])


ROUTES = [which_page, which, provider_page, go, back]
