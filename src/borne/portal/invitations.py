"""Inviting people, and the link of an invitation: accepted once, by whoever has the address that it was sent to."""

from __future__ import annotations

from typing import Any

from litestar import Response, get, post
from litestar.exceptions import NotFoundException
from litestar.params import FromPath

from borne.engine import invitations as engine
from borne.engine.invitations import (
    AccountExistsError,
    Invitations,
    NewAccount,
    Over,
    OverError,
    TooManyError,
    Wait,
    token_hash,
)
from borne.engine.passwords import SHORTEST, is_acceptable
from borne.engine.people import RefusedError
from borne.engine.plans import NoRoomError
from borne.portal.access import access_of
from borne.portal.errors import PageError
from borne.portal.forms import Form, password_of, text_of
from borne.portal.frame import Page
from borne.portal.invitation_mail import writer
from borne.portal.language import N_
from borne.portal.login import first_factor_passed, password_words
from borne.portal.people_form import (
    LINES_BOUND,
    NAME_BOUND,
    REFUSAL_WORDS,
    Choices,
    Common,
    Invitee,
    choices,
    common,
    common_errors,
    invitee,
    lines_of,
    problem_text,
    role_of,
    room_text,
    too_many_text,
    until_ms,
)
from borne.portal.roles import ROLE_WORDS
from borne.portal.security import login_cookie
from borne.portal.services import Services
from borne.store import invitations as store
from borne.store import logins, people
from borne.store.db import Row
from borne.store.invitations import NewInvitation

EMAILS_BOUND = 20_000  # characters
OVER_WORDS: dict[Over, str] = {
    "unknown": N_("This link is not known. It may have been replaced by a newer one: look for the latest mail."),
    "accepted": N_("This invitation was accepted already. Log in to go on."),
    "revoked": N_("This invitation was taken back. Ask whoever invited you."),
    "expired": N_("This invitation is too old. Ask whoever invited you to send it again."),
}


def invitations_of(services: Services) -> Invitations:
    """The maker of invitations, with mails that lead to this portal."""
    write = writer(services.settings.public_url)
    return Invitations(services.db, services.bus, services.clock, services.mail, services.audit, write)


def new_invitation(one: Invitee, typed: Common, offered: Choices, now_ms: int) -> NewInvitation:
    """Whom a form invites, as what."""
    return NewInvitation(
        email=one.email,
        name=one.name,
        role=role_of(typed),
        location_ids=() if typed.role == "super-admin" else typed.location_ids,
        access_group_id=typed.group_id,
        tags=one.tags,
        language=typed.language,
        membership_expires_ms=until_ms(typed.until, offered.zone, now_ms),
    )


async def send(page: Page, wanted: list[NewInvitation], offered: Choices) -> list[str]:
    """Invite all, or none: then why, in sentences."""
    places = [place.id for place in offered.places]
    try:
        found = await invitations_of(page.services).invite(page.actor, page.scope, wanted, places)
    except RefusedError as error:
        return [page._(REFUSAL_WORDS[error.why])]
    except NoRoomError as error:
        return [room_text(page, error)]
    except TooManyError:
        return [too_many_text(page)]
    return [problem_text(page, problem, wanted[n]) for n, problem in found.items()]


def sent_text(page: Page, n: int) -> str:
    return page.ngettext("%(n)s invitation is on its way.", "%(n)s invitations are on their way.", n)


# ---- the form ----------------------------------------------------------------------------------------------------------


@get("/users/invite", may="invite_people")
async def invite_page(page: Page) -> Response[str]:
    """The form that invites."""
    return await _form(page, "", Common(language=page.language), {}, [])


@post("/users/invite", may="invite_people", status_code=200)
async def invite(page: Page, data: Form) -> Response[str]:
    """Invite everybody in the form, or nobody and say why."""
    emails, typed, offered = lines_of(data, "emails", EMAILS_BOUND), common(data), await choices(page)
    invitees, lines = _read(page, emails)
    errors = common_errors(page, typed, offered)
    now_ms = page.services.clock.now_ms()
    if errors or lines:
        known = [NewInvitation(email=one.email, role="user", tags=one.tags) for one in invitees]
        found = await engine.problems(page.services.db, page.scope, known, [], now_ms)
        lines += [problem_text(page, problem, known[n]) for n, problem in found.items()]
        return await _form(page, emails, typed, errors, lines, 422)
    wanted = [new_invitation(one, typed, offered, now_ms) for one in invitees]
    lines = await send(page, wanted, offered)
    if lines:
        return await _form(page, emails, typed, errors, lines, 422)
    return page.go("/users?state=invited", toast=sent_text(page, len(wanted)))


def _read(page: Page, emails: str) -> tuple[list[Invitee], list[str]]:
    """The people that the lines name, and what is wrong with which line."""
    found: list[Invitee] = []
    wrong: list[str] = []
    lines = [line.strip() for line in emails.split("\n") if line.strip(" ,;\t")]
    for line in lines[:LINES_BOUND]:
        try:
            found.append(invitee(page, line))
        except ValueError as error:
            wrong.append(str(error))
    if not lines:
        wrong.append(page._("Write one e-mail address at least."))
    if len(lines) > LINES_BOUND:
        wrong.append(page._("%(n)s people at once at most; a file may hold more.", n=LINES_BOUND))
    return found, wrong


async def _form(
    page: Page, emails: str, typed: Common, errors: dict[str, str], lines: list[str], status_code: int = 200
) -> Response[str]:
    return page.show(
        "users/invite.html",
        status_code,
        emails=emails,
        typed=typed,
        errors=errors,
        lines=lines,
        offered=await choices(page),
    )


# ---- those that are open ------------------------------------------------------------------------------------------------


@post("/users/invitations/{invitation_id:int}/resend", may="invite_people", status_code=200)
async def resend(page: Page, invitation_id: FromPath[int]) -> Response[str]:
    """A new link; the old one stops working."""
    try:
        done = await invitations_of(page.services).resend(page.actor, page.scope, invitation_id)
    except RefusedError as error:
        raise PageError(409, page._(REFUSAL_WORDS[error.why])) from None
    except NoRoomError as error:
        raise PageError(409, room_text(page, error)) from None
    if done is None:
        raise NotFoundException
    if isinstance(done, Wait):
        wait_s = -(-done.wait_ms // 1_000)
        text = page._("It was sent a moment ago. Try again in %(wait)s.", wait=page.formats.duration(done.wait_ms))
        raise PageError(429, text, retry_after_s=wait_s)
    return page.go("/users?state=invited", toast=page._("A new link is on its way to %(email)s.", email=done.email))


@post("/users/invitations/{invitation_id:int}/revoke", may="invite_people", status_code=200)
async def revoke(page: Page, invitation_id: FromPath[int]) -> Response[str]:
    """The link stops working."""
    try:
        done = await invitations_of(page.services).revoke(page.actor, page.scope, invitation_id)
    except RefusedError as error:
        raise PageError(409, page._(REFUSAL_WORDS[error.why])) from None
    if done is None:
        raise NotFoundException
    return page.go("/users", toast=page._("The invitation of %(email)s is taken back.", email=done.email))


# ---- the link ----------------------------------------------------------------------------------------------------------


@get("/invitations/{token:str}", may="anyone")
async def invitation(page: Page, token: FromPath[str]) -> Response[str]:
    """What the link offers, to whoever opens it."""
    row = await _open(page, token)
    return await _offer(page, row, token) if isinstance(row, Row) else _over(page, row)


@post("/invitations/{token:str}", may="anyone", status_code=200)
async def accept(page: Page, token: FromPath[str], data: Form) -> Response[str]:
    """Accept: as the person who is logged in, or with a new account."""
    row = await _open(page, token)
    if not isinstance(row, Row):
        return _over(page, row)
    if page.visitor is not None:
        if page.visitor.email != row.email:
            return await _offer(page, row, token, 409)
        return await _accept(page, row, token, page.visitor.person_id)
    if await people.by_email(page.services.db, row.email) is not None:
        return await _offer(page, row, token, 409)
    name, password = text_of(data, "name", NAME_BOUND), password_of(data)
    errors = {} if name else {"name": page._("Please fill this in.")}
    if not is_acceptable(password):
        errors["password"] = password_words(page)
    if errors:
        return await _offer(page, row, token, 422, errors, name)
    password_hash = await page.services.passwords.hash(password)
    return await _accept(page, row, token, NewAccount(name, password_hash, page.language))


@post("/invitations/{token:str}/switch", may="person", by_provider=True, status_code=200)
async def switch(page: Page, token: FromPath[str]) -> Response[str]:
    """Log out, so that somebody else can accept."""
    row = await _open(page, token)
    if not isinstance(row, Row):
        return _over(page, row)
    async with page.services.db.transaction() as tx:
        await logins.end(tx, page.person.token_hash)
    access_of(page.request).changed(page.person.person_id)
    return page.go(f"/invitations/{token}", cookies=[login_cookie(page.services.settings, "", 0)])


async def _open(page: Page, token: str) -> Any:
    """The invitation, or why there is none that can be accepted."""
    row = await store.by_token(page.services.db, token_hash(token))
    return engine.state_of(row, page.services.clock.now_ms()) or row


async def _offer(
    page: Page, row: Row, token: str, status_code: int = 200, errors: dict[str, str] | None = None, name: str = ""
) -> Response[str]:
    """Which of the ways to accept is this visitor's."""
    has_account = await people.by_email(page.services.db, row.email) is not None
    is_theirs = page.visitor is not None and page.visitor.email == row.email
    places = await store.locations_of(page.services.db, row.organisation_id, row.id)
    return page.show(
        "invitations/offer.html",
        status_code,
        invitation=row,
        token=token,
        way="accept" if is_theirs else "switch" if page.visitor else "login" if has_account else "account",
        role=page._(ROLE_WORDS[row.role]),
        places=[place.name for place in places],
        errors=errors or {},
        name=name or row.name,
        shortest=SHORTEST,
    )


async def _accept(page: Page, row: Row, token: str, who: int | NewAccount) -> Response[str]:
    try:
        done = await invitations_of(page.services).accept(token, who, page.address)
    except OverError as error:
        return _over(page, error.why)
    except (AccountExistsError, RefusedError):
        return await _offer(page, row, token, 409)
    except NoRoomError:
        text = page._(
            "%(organisation)s has no room for more people at the moment. Tell whoever invited you; the link stays valid.",
            organisation=row.organisation_name,
        )
        raise PageError(409, text) from None
    welcome = page._("Welcome to %(organisation)s.", organisation=row.organisation_name)
    access_of(page.request).changed(done.person_id)
    if page.visitor is None:
        return await first_factor_passed(page, done.person_id, "/", welcome)
    async with page.services.db.transaction() as tx:
        await logins.choose_organisation(tx, page.visitor.token_hash, done.organisation_id)
    access_of(page.request).changed(done.person_id)
    return page.go("/", toast=welcome)


def _over(page: Page, why: Over) -> Response[str]:
    return page.show("invitations/over.html", 404, text=page._(OVER_WORDS[why]), why=why)


ROUTES = [invite_page, invite, resend, revoke, invitation, accept, switch]
