"""A person's own data: downloading all of it, and erasing oneself, or a member who belongs to this organisation alone."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from litestar import Response, get, post
from litestar.exceptions import NotFoundException
from litestar.params import FromPath

from borne.engine.erasure import Erasure, NotErasedError, Refusal
from borne.portal.access import access_of
from borne.portal.audit_trail import record_of_person
from borne.portal.confirm import must_be_fresh
from borne.portal.errors import PageError
from borne.portal.formats import iso
from borne.portal.forms import Form, email_of
from borne.portal.frame import Page
from borne.portal.language import N_
from borne.portal.security import login_cookie
from borne.portal.users import member_row
from borne.store import personal_data

REFUSED: dict[Refusal, str] = {
    "unknown": N_("This account is erased already."),
    "elsewhere": N_("This person belongs to other organisations too. They can erase themselves under Your account."),
    "operator": N_("This person operates the installation, and can only erase themselves."),
    "last_super_admin": N_("An organisation would be left without a super-admin. Make somebody else one first."),
    "last_operator": N_("Nobody would operate the installation any more. Make somebody else do it first."),
}


def _erasure(page: Page) -> Erasure:
    services = page.services
    return Erasure(services.db, services.bus, services.clock, services.audit, services.engine)


@get("/account/data", may="person")
async def data_page(page: Page) -> Response[str]:
    """What is kept, and what may be done about it."""
    return page.show("account/data.html")


@post("/account/data/download", may="person", status_code=200)
async def download(page: Page) -> Response[Any]:
    """All of it, as JSON."""
    must_be_fresh(page, "/account/data")
    found = await collect(page)
    async with page.services.db.transaction() as tx:
        await record_of_person(page, tx, "person.exported", page.person.person_id)
    body = await asyncio.to_thread(lambda: msgspec.json.format(msgspec.json.encode(found), indent=1))
    headers = {"content-disposition": 'attachment; filename="borne-my-data.json"'}
    return Response(body, media_type="application/json", headers=headers)


async def collect(page: Page) -> dict[str, Any]:
    """Everything that is kept of the visitor. Instants (`*_ms`) are milliseconds since 1970, UTC."""
    db, person_id = page.services.db, page.person.person_id
    found: dict[str, Any] = {
        "made_at": iso(page.services.clock.now_ms()),
        "person_id": person_id,
        "profile": await personal_data.profile(db, person_id),
    }
    for name in personal_data.TABLES:
        found[name] = await personal_data.records(db, name, person_id)
    found["invitations_received"] = await personal_data.invitations_of(db, page.person.email)
    found["audit_log"] = [_readable(row) for row in await personal_data.audit_of(db, person_id)]
    ids = {row.get("organisation_id") for rows in found.values() if isinstance(rows, list) for row in rows} - {None}
    names = await personal_data.organisation_names(db, sorted(ids))
    found["organisations"] = [{"id": one, "name": name} for one, name in names.items()]
    return found


def _readable(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "details": None if row["details"] is None else msgspec.json.decode(row["details"])}


# ---- oneself -------------------------------------------------------------------------------------------------------


@get("/account/erase", may="person")
async def ask_erase(page: Page) -> Response[str]:
    """The last question. Only for whoever has just shown who they are."""
    must_be_fresh(page, "/account/erase")
    return page.show("account/erase.html", error="")


@post("/account/erase", may="person", status_code=200)
async def erase(page: Page, data: Form) -> Response[str]:
    """Erase oneself: the own address is typed, so that no slip does it."""
    must_be_fresh(page, "/account/erase")
    if email_of(data) != page.person.email:
        return page.show("account/erase.html", 422, error=page._("This is not your e-mail address."))
    try:
        await _erasure(page).erase(page.actor, page.person.person_id)
    except NotErasedError as error:
        raise PageError(409, page._(REFUSED[error.why])) from None
    access_of(page.request).changed(page.person.person_id)
    cookie = login_cookie(page.services.settings, "", 0)
    return page.go("/login", toast=page._("Your account is erased."), cookies=[cookie])


# ---- a member ------------------------------------------------------------------------------------------------------


@get("/users/{person_id:int}/erase", may="erase_people")
async def ask_erase_member(page: Page, person_id: FromPath[int]) -> Response[str]:
    """The confirmation."""
    row = await member_row(page, person_id)
    return page.show("users/erase.html", row=row, error="")


@post("/users/{person_id:int}/erase", may="erase_people", status_code=200)
async def erase_member(page: Page, person_id: FromPath[int], data: Form) -> Response[str]:
    """Erase somebody who belongs to this organisation alone; their address is typed."""
    row = await member_row(page, person_id)
    if person_id == page.person.person_id:
        raise NotFoundException
    if email_of(data) != row.email:
        error = page._("This is not the e-mail address of %(person)s.", person=row.name)
        return page.show("users/erase.html", 422, row=row, error=error)
    try:
        await _erasure(page).erase(page.actor, person_id, organisation_id=page.scope.organisation_id)
    except NotErasedError as error:
        raise PageError(409, page._(REFUSED[error.why])) from None
    access_of(page.request).changed(person_id)
    return page.go("/users", toast=page._("%(person)s was erased.", person=row.name))


ROUTES = [data_page, download, ask_erase, erase, ask_erase_member, erase_member]
